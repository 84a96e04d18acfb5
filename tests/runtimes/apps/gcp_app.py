"""The workers as a Cloud Function."""

import functions_framework
from workers import workers


@functions_framework.http
def jobs(request):
    return workers.gcp(request)
