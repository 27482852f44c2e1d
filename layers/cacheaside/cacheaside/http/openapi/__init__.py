"""The OpenAPI 3.1 document, generated from the catalogue.

document      the document: paths, components, security
statements    the operations of a query and of a command
rows          their answers, as PostgreSQL describes the columns
documents     the operations of the other routes
schemas       the bodies of those routes
responses     what each kind of operation can answer, and nothing else
problems      an example of each problem
headers       the headers of responses and requests
"""
