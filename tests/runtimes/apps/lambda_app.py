"""The workers as a Lambda function."""

from tests.runtimes.apps.workers import workers

handler = workers.aws_lambda
