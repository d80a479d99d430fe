"""A cloud of its own: AWS as its service models describe it, on a port of this machine.

Source: botocore's service models (requests, answers, paginators). What it answers follows from an
*estate* (accounts, regions, and what lay in them when), so that a test can compute from the estate
what a collector must have seen, and from the *history* what it asked. It misbehaves when told to.

    with Simulator() as cloud:
        cloud.estate.account("111122223333")
        cloud.estate.put("111122223333", "eu-west-1", "ec2:DescribeVpcs", "main")
        cloud.client("ec2", "eu-west-1", "111122223333").describe_vpcs()
"""
