"""The workers as a Lambda function."""

from workers import workers

handler = workers.aws_lambda
