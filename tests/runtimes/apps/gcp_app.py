"""The workers as a Cloud Function."""

import functions_framework

from tests.runtimes.apps.workers import workers


@functions_framework.http
def jobs(request):
    return workers.gcp(request)
