"""Each mistake that a hurried edit could make in the template is noticed by another test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.template import test_api as api
from tests.template import test_data as data
from tests.template import test_functions as functions
from tests.template import test_modes as modes
from tests.template import test_network as network
from tests.template import test_operations as operations
from tests.template import test_permissions as permissions
from tests.template.support.choices import KEY
from tests.template.support.stack import TEMPLATE, Stack, stack_of

Check = Callable[[Stack], None]
# Name, text of the template, its replacement, the test that must fail, and the mode.
MUTATIONS: list[tuple[str, str, str, Check, dict[str, str]]] = [
    (
        "database open to all addresses",
        "      SourceSecurityGroupId: !Ref MigrateSecurityGroup\n",
        "      CidrIp: 0.0.0.0/0\n",
        network.test_ingress_admits_groups_and_no_addresses,
        {},
    ),
    (
        "functions may call all addresses",
        "          Description: cache\n",
        "          Description: cache\n        - { IpProtocol: '-1', CidrIp: 0.0.0.0/0 }\n",
        network.test_only_nat_opens_a_rule_or_route_to_everywhere,
        {},
    ),
    (
        "functions reach all ports of the internet through NAT",
        "          Description: cache\n",
        "          Description: cache\n        - { IpProtocol: '-1', CidrIp: 0.0.0.0/0 }\n",
        network.test_each_function_reaches_its_servers_and_nothing_else,
        {"Egress": "nat"},
    ),
    (
        "route out of the data subnets",
        "RouteTableId: !Ref FunctionRoutesA, DestinationCidrBlock",
        "RouteTableId: !Ref DataRoutes, DestinationCidrBlock",
        network.test_the_data_has_no_way_out,
        {"Egress": "nat"},
    ),
    (
        "data in the functions' routes",
        "SubnetId: !Ref DataSubnetA, RouteTableId: !Ref DataRoutes",
        "SubnetId: !Ref DataSubnetA, RouteTableId: !Ref FunctionRoutesA",
        network.test_the_data_has_no_way_out,
        {"Egress": "nat"},
    ),
    (
        "database with a public address",
        "PubliclyAccessible: false",
        "PubliclyAccessible: true",
        network.test_nothing_but_the_api_is_public,
        {},
    ),
    (
        "cache open to the whole VPC",
        "!If [TwoCachePorts, 6380, !Ref CachePort]\n      SourceSecurityGroupId: !Ref FunctionSecurityGroup\n",
        "!If [TwoCachePorts, 6380, !Ref CachePort]\n      CidrIp: 10.0.0.0/16\n",
        network.test_ingress_admits_groups_and_no_addresses,
        {},
    ),
    (
        "migrate uses the functions' group",
        "VpcConfig: { SecurityGroupIds: [!Ref MigrateSecurityGroup] }",
        "VpcConfig: { SecurityGroupIds: [!Ref FunctionSecurityGroup] }",
        network.test_each_function_reaches_its_servers_and_nothing_else,
        {},
    ),
    (
        "both ports of a serverless cache on any cache",
        "ToPort: !If [TwoCachePorts, 6380, !Ref CachePort]",
        "ToPort: 6380",
        network.test_each_function_reaches_its_servers_and_nothing_else,
        {},
    ),
    (
        "the cache may call out",
        '      SecurityGroupEgress: [{ IpProtocol: "-1", CidrIp: 127.0.0.1/32, Description: nowhere }]\n',
        "",
        network.test_no_group_keeps_the_open_egress_rule_that_ec2_adds,
        {},
    ),
    (
        "$default as a path of its own",
        "          $default: {",
        "          /$default: {",
        api.test_each_route_asks_what_its_row_says_and_writes_are_never_open,
        {"ReadAuthorization": "iam"},
    ),
    (
        "invalidations open to all",
        "/invalidations: { post: { security: *writes } }",
        "/invalidations: { post: { security: [] } }",
        api.test_each_route_asks_what_its_row_says_and_writes_are_never_open,
        {},
    ),
    (
        "an alarm of the API that its own deployment waits for",
        'ErrorsAlarm, !Sub "${AWS::StackName}-api-errors"]',
        "ErrorsAlarm, !Ref ApiErrorsAlarm]",
        modes.test_nothing_waits_for_itself,
        {"Deployment": "Canary10Percent5Minutes"},
    ),
    (
        "a function that may sign in as any user",
        "dbuser:${Id}/cacheaside_query",
        "dbuser:${Id}/*",
        permissions.test_every_statement_names_its_resource,
        {},
    ),
    (
        "a cluster that functions take for a node",
        "CACHE_MODE: &cache_mode !If [NewCache, !Ref CacheType, !Ref CacheMode]",
        "CACHE_MODE: &cache_mode !If [ClusterCache, node, !If [NewCache, !Ref CacheType, !Ref CacheMode]]",
        functions.test_query_gets_its_users,
        {"CacheType": "cluster"},
    ),
    (
        "commands that do not wait for the replicas of a cluster",
        "CACHE_REPLICAS: &replicas !If [NewReplicas,",
        "CACHE_REPLICAS: &replicas !If [NodeCache,",
        functions.test_command_waits_for_all_replicas,
        {"CacheType": "cluster", "HighAvailability": "on"},
    ),
    (
        "a cache that talks without TLS too",
        "      TransitEncryptionMode: required\n",
        "      TransitEncryptionMode: preferred\n",
        data.test_cache_takes_tokens_over_tls_only,
        {"CacheType": "cluster"},
    ),
    (
        "functions that do not wait for a server of Aurora",
        "!Select [0, [!GetAtt AuroraCluster.Endpoint.Address, !Ref AuroraWriter]]",
        "!GetAtt AuroraCluster.Endpoint.Address",
        data.test_functions_wait_for_a_server_of_the_cluster,
        {"DatabaseSource": "aurora"},
    ),
    (
        "alarms that a key of your own does not encrypt",
        "      KmsMasterKeyId: *key\n",
        "",
        data.test_a_key_of_your_own_encrypts_everything_that_is_kept,
        {"KmsKeyArn": KEY},
    ),
    (
        "all of S3 open without NAT",
        "- !If [UseNat, { Effect: Allow",
        "- !If [NewVpc, { Effect: Allow",
        network.test_without_nat_s3_is_open_for_answers_to_cloudformation_only,
        {},
    ),
    (
        "a dashboard that searches the nodes of all caches",
        "{AWS/ElastiCache,CacheClusterId,CacheNodeId} CacheClusterId=${Id}",
        "{AWS/ElastiCache,CacheClusterId,CacheNodeId} CacheNodeId=0001",
        operations.test_dashboard_finds_all_nodes_of_the_cache_by_its_name,
        {"CacheType": "cluster"},
    ),
    (
        "an alarm on an unpublished metric",
        "MetricName: CacheBreakerOpen",
        "MetricName: BreakerOpened",
        operations.test_alarms_and_dashboard_use_published_metrics,
        {},
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "check", "mode"),
    [mutation[1:] for mutation in MUTATIONS],
    ids=[mutation[0].replace(" ", "-") for mutation in MUTATIONS],
)
def test_mistake_is_noticed(old: str, new: str, check: Check, mode: dict[str, str]) -> None:
    text = TEMPLATE.read_text()
    assert old in text
    check(stack_of(**mode))
    with pytest.raises(AssertionError):
        check(Stack(text.replace(old, new), **mode))
