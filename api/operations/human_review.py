"""Reviews by people, at an endpoint that speaks Amazon Augmented AI (service model sagemaker-a2i-runtime)."""

import json
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from api.context import Context
from api.errors import HumanLoopQuotaExceededException, InvalidParameterException

ACTIVATION_REASON = "ConditionsEvaluation"
REFUSED = {
    "ServiceQuotaExceededException": HumanLoopQuotaExceededException,
    "ThrottlingException": HumanLoopQuotaExceededException,
    "ConflictException": InvalidParameterException,
    "ValidationException": InvalidParameterException,
}
QUOTA = {"ResourceType": "HumanLoop", "ServiceCode": "rekognition", "QuotaCode": "HumanLoops"}


class ReviewsUnavailable(Exception):
    """The endpoint of human reviews does not answer: {reason}"""

    def __init__(self, reason: str) -> None:
        super().__init__((self.__doc__ or "").format(reason=reason))


def start_review(ctx: Context, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Starts the review that a request asks for, of its answer; gives the activation output.

    Without an endpoint no review can be in progress, so the quota is none: HumanLoopQuotaExceededException. What the
    endpoint refuses raises the error that fits; ReviewsUnavailable when it does not answer.
    """
    url = ctx.services.settings.human_loop_endpoint_url
    if url is None:
        raise HumanLoopQuotaExceededException("No endpoint for human reviews is configured.", **QUOTA)
    config = request["HumanLoopConfig"]
    content = {"aiServiceRequest": _asked(request), "aiServiceResponse": answer}
    attributes = config.get("DataAttributes")
    try:
        started = _client(url, ctx.tenant.region).start_human_loop(
            HumanLoopName=config["HumanLoopName"],
            FlowDefinitionArn=config["FlowDefinitionArn"],
            HumanLoopInput={"InputContent": json.dumps(content)},
            **({"DataAttributes": attributes} if attributes else {}),
        )
    except ClientError as error:
        refusal = REFUSED.get(error.response["Error"]["Code"])
        if refusal is None:
            raise ReviewsUnavailable(str(error)) from error
        raise refusal(error.response["Error"].get("Message")) from error
    except BotoCoreError as error:
        raise ReviewsUnavailable(str(error)) from error
    return {
        "HumanLoopArn": started["HumanLoopArn"],
        "HumanLoopActivationReasons": [ACTIVATION_REASON],
        "HumanLoopActivationConditionsEvaluationResults": json.dumps({"Conditions": [{"EvaluationResult": True}]}),
    }


def _asked(request: dict[str, Any]) -> dict[str, Any]:
    """The request without the picture's bytes: reviewers see a picture by its place in a bucket."""
    image = {name: value for name, value in request["Image"].items() if name != "Bytes"}
    return {name: value for name, value in request.items() if name != "HumanLoopConfig"} | {"Image": image}


@cache
def _client(url: str, region: str) -> Any:
    """Credentials come from where boto3 looks for them."""
    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    return boto3.client("sagemaker-a2i-runtime", region_name=region, endpoint_url=url, config=config)
