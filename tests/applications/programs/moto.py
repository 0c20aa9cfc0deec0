"""moto: AWS's services, under boto3.

Special in it: hundreds of rules with regular expressions, bodies that boto3 announces with
``Expect: 100-continue`` or sends in ``aws-chunked`` pieces, a middleware that chooses one of many
Flask applications by host and headers, XML and JSON by hand, signed URLs, and one connection for
all requests of a client.
"""

from __future__ import annotations

import json
import typing as t

from ..application import BUSTAPI, FLASK, Application, Client, Normalisation, Way, served_by_bustapi

SERVED = """\
from flask import Flask
from moto.server import DomainDispatcherApplication, create_backend_app

app = Flask(__name__)
app.wsgi_app = DomainDispatcherApplication(create_backend_app)
"""

#: Over the 64 KiB that a server may keep in memory, and of no period that hides a lost piece.
LARGE = b"".join(b"%08d\n" % number for number in range(40_000))


def client_of(http: Client, service: str) -> t.Any:
    """A boto3 client with one connection, to a server that counts its random numbers anew."""
    import boto3
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config

    client = boto3.client(
        service,
        endpoint_url=http.base,
        region_name="eu-west-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(
            max_pool_connections=1,
            retries={"max_attempts": 0},
            s3={"addressing_style": "path"},
            connect_timeout=20,
            read_timeout=40,
        ),
    )
    # On the client's own connection: with two workers each has its own numbers, and its own data.
    seed = AWSRequest("POST", http.base + "/moto-api/seed?a=42").prepare()
    client._endpoint.http_session.send(seed)
    return client


def fails(call: t.Callable[..., t.Any], code: str, **arguments: t.Any) -> None:
    """The call must be refused with an error of this code."""
    from botocore.exceptions import ClientError

    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
    else:
        raise AssertionError(f"not refused with {code}")


def store(http: Client) -> None:
    """S3."""
    import urllib3

    s3 = client_of(http, "s3")
    place = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket="a-bucket", CreateBucketConfiguration=place)
    fails(
        s3.create_bucket,
        "BucketAlreadyOwnedByYou",
        Bucket="a-bucket",
        CreateBucketConfiguration=place,
    )
    fails(s3.head_bucket, "404", Bucket="none")
    assert s3.list_buckets()["Buckets"][0]["Name"] == "a-bucket"

    key = "folder/ä b+c%.txt"
    s3.put_object(
        Bucket="a-bucket", Key=key, Body=b"hello", Metadata={"one": "1"}, ContentType="text/plain"
    )
    s3.put_object(Bucket="a-bucket", Key="large", Body=LARGE, StorageClass="STANDARD")
    s3.put_object(Bucket="a-bucket", Key="empty")
    found = s3.get_object(Bucket="a-bucket", Key=key)
    assert found["Body"].read() == b"hello"
    assert s3.get_object(Bucket="a-bucket", Key="large")["Body"].read() == LARGE
    part = s3.get_object(Bucket="a-bucket", Key="large", Range="bytes=9-17")
    assert part["Body"].read() == b"00000001\n"
    part = s3.get_object(Bucket="a-bucket", Key="large", Range="bytes=-9")
    assert part["Body"].read() == LARGE[-9:]
    fails(s3.get_object, "InvalidRange", Bucket="a-bucket", Key="large", Range="bytes=999999-")
    fails(s3.get_object, "304", Bucket="a-bucket", Key=key, IfNoneMatch=found["ETag"])
    fails(s3.get_object, "PreconditionFailed", Bucket="a-bucket", Key=key, IfMatch='"none"')
    fails(s3.get_object, "NoSuchKey", Bucket="a-bucket", Key="none")
    fails(s3.get_object, "NoSuchBucket", Bucket="none", Key="none")
    fails(s3.put_object, "NoSuchBucket", Bucket="none", Key="none", Body=LARGE)
    s3.head_object(Bucket="a-bucket", Key="large")
    s3.copy_object(Bucket="a-bucket", Key="copy", CopySource={"Bucket": "a-bucket", "Key": key})
    s3.put_object_tagging(
        Bucket="a-bucket", Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v w"}]}
    )
    s3.get_object_tagging(Bucket="a-bucket", Key="copy")
    s3.list_objects_v2(Bucket="a-bucket", Delimiter="/", MaxKeys=2)
    s3.list_objects_v2(Bucket="a-bucket", Prefix="folder/")

    upload = s3.create_multipart_upload(Bucket="a-bucket", Key="parts")["UploadId"]
    whole = {"Bucket": "a-bucket", "Key": "parts", "UploadId": upload}
    pieces = [LARGE * 16, b"the end"]
    tags = [
        s3.upload_part(**whole, PartNumber=number, Body=piece)["ETag"]
        for number, piece in enumerate(pieces, 1)
    ]
    s3.list_parts(**whole)
    s3.complete_multipart_upload(
        **whole,
        MultipartUpload={
            "Parts": [{"PartNumber": n, "ETag": tag} for n, tag in enumerate(tags, 1)]
        },
    )
    assert s3.head_object(Bucket="a-bucket", Key="parts")["ContentLength"] == len(b"".join(pieces))

    pool = s3._endpoint.http_session._manager  # the same connection again
    for method, operation in (("GET", "get_object"), ("PUT", "put_object")):
        url = s3.generate_presigned_url(operation, {"Bucket": "a-bucket", "Key": "signed"})
        answer = pool.request(method, url, body=b"by url" if method == "PUT" else None)
        assert answer.status == {"GET": 404, "PUT": 200}[method], answer.data
    fields = s3.generate_presigned_post("a-bucket", "posted")
    content, kind = urllib3.encode_multipart_formdata(
        {**fields["fields"], "file": ("name.bin", LARGE)}, "a-boundary"
    )
    answer = pool.request("POST", fields["url"], body=content, headers={"Content-Type": kind})
    assert answer.status == 204, answer.data
    s3.put_bucket_policy(
        Bucket="a-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    s3.get_bucket_policy(Bucket="a-bucket")
    s3.put_bucket_versioning(Bucket="a-bucket", VersioningConfiguration={"Status": "Enabled"})
    s3.get_bucket_versioning(Bucket="a-bucket")
    s3.delete_objects(
        Bucket="a-bucket", Delete={"Objects": [{"Key": "copy"}, {"Key": "none"}], "Quiet": False}
    )
    fails(s3.delete_bucket, "BucketNotEmpty", Bucket="a-bucket")
    s3.close()


def tables(http: Client) -> None:
    """DynamoDB."""
    db = client_of(http, "dynamodb")
    db.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    fails(
        db.create_table,
        "ResourceInUseException",
        TableName="things",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(3):
        db.put_item(
            TableName="things",
            Item={"id": {"S": f"é{number}"}, "n": {"N": str(number)}, "b": {"B": b"\0\xff"}},
        )
    db.get_item(TableName="things", Key={"id": {"S": "é1"}})
    db.update_item(
        TableName="things",
        Key={"id": {"S": "é1"}},
        UpdateExpression="SET n = n + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )
    fails(
        db.put_item,
        "ConditionalCheckFailedException",
        TableName="things",
        Item={"id": {"S": "é1"}},
        ConditionExpression="attribute_not_exists(id)",
    )
    db.scan(
        TableName="things", FilterExpression="n > :n", ExpressionAttributeValues={":n": {"N": "0"}}
    )
    db.batch_write_item(
        RequestItems={
            "things": [{"PutRequest": {"Item": {"id": {"S": "x" * 2000}}}} for _ in range(1)]
        }
    )
    fails(db.get_item, "ResourceNotFoundException", TableName="none", Key={"id": {"S": "1"}})
    db.describe_table(TableName="things")
    db.close()


def queues(http: Client) -> None:
    """SQS, SNS, IAM, STS, Secrets Manager, Route 53: the other protocols."""
    sqs = client_of(http, "sqs")
    url = sqs.create_queue(QueueName="a-queue")["QueueUrl"]
    sqs.send_message(
        QueueUrl=url,
        MessageBody="héllo <&>",
        MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}},
    )
    sqs.send_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x" * 50_000} for n in range(4)]
    )
    message = sqs.receive_message(
        QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=1
    )["Messages"][0]
    assert message["Body"] == "héllo <&>"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    fails(sqs.get_queue_url, "AWS.SimpleQueueService.NonExistentQueue", QueueName="none")
    sqs.close()

    sns = client_of(http, "sns")
    topic = sns.create_topic(Name="a-topic")["TopicArn"]
    sns.publish(TopicArn=topic, Message="hello", Subject="a subject")
    sns.list_topics()
    fails(sns.publish, "NotFound", TopicArn=topic + "-none", Message="hello")
    sns.close()

    iam = client_of(http, "iam")
    iam.create_user(UserName="somebody", Path="/a/b/")
    fails(iam.create_user, "EntityAlreadyExists", UserName="somebody")
    fails(iam.get_user, "NoSuchEntity", UserName="nobody")
    iam.create_access_key(UserName="somebody")
    iam.list_users()
    iam.close()

    sts = client_of(http, "sts")
    sts.get_caller_identity()
    sts.close()

    secrets = client_of(http, "secretsmanager")
    secrets.create_secret(Name="a/secret", SecretBinary=b"\x00\x01")
    secrets.get_secret_value(SecretId="a/secret")
    fails(secrets.get_secret_value, "ResourceNotFoundException", SecretId="none")
    secrets.close()

    zones = client_of(http, "route53")
    zones.create_hosted_zone(Name="example.test", CallerReference="once")
    zones.list_hosted_zones()
    fails(zones.get_hosted_zone, "NoSuchHostedZone", Id="Z0000000000000")
    zones.close()


def script(http: Client) -> None:
    http.get("/moto-api/data.json", expect=200)
    store(http)
    tables(http)
    queues(http)
    http.get("/moto-api/", expect=200)
    http.post("/moto-api/reset", expect=200)
    http.post("/moto-api/seed?a=42")
    http.get("/none/such?list-type=2")
    http.options("/moto-api/reset")


APPLICATION = Application(
    name="moto",
    requirements=("moto[server]==5.2.5", "boto3==1.44.8"),
    ways=(
        Way("moto_server", FLASK, ("{program}", "{bin}/moto_server", "-p", "{port}")),
        *served_by_bustapi("served"),
        Way("moto_server", BUSTAPI, ("{program}", "{bin}/moto_server", "-p", "{port}")),
    ),
    files={"served.py": SERVED},
    script=script,
    # Its data are in the memory of one process.
    per_connection=10_000,
    ready="/moto-api/data.json",
    normalisations=(
        Normalisation(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "the time of creation"
        ),
        Normalisation(r"(?P<keep>x-amz-crc32: )\d+", "of a body with times in it"),
        Normalisation(r'(?P<keep>"VersionId": ")[\w-]+', "boto3 makes it"),
        Normalisation(r"(?P<keep>uploadId=|<UploadId>)[\w.-]+", "moto takes it from the system"),
        Normalisation(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "Last-Modified"),
        Normalisation(
            r'(?P<keep>"?\w*(?:Date|Time|Timestamp)\w*"?: ?"?)\d{10,13}(\.\d+)?', "times"
        ),
        Normalisation(
            r"(?P<keep>(?:Signature|X-Amz-Date|Expires|Credential)=)[^&\"]+", "signed URLs"
        ),
    ),
)
