"""The stand-ins for RDS and ElastiCache: the files of their image, built by server_images.sh."""
