"""What a start is refused for: each with the setting, what would come of it, and the remedy."""

from ipaddress import ip_network

from coordinator.calling.egress import open_guard
from coordinator.calling.signing import secret_problem
from coordinator.domain.keyring import parse_keyring
from coordinator.domain.tokens import weakness
from coordinator.domain.worker import url_problem
from coordinator.errors import SettingsError
from coordinator.settings import Settings
from coordinator.store.open import Store


def refuse_unusable(settings: Settings) -> None:
    """What could be found out by the first call only. Raises `SettingsError`."""
    for name in ("worker_url", "public_url"):
        url = getattr(settings, name)
        if url and (problem := url_problem(url)):
            raise SettingsError(f"--{name.replace('_', '-')} {problem}.")
    for place in filter(None, settings.trusted_proxies.split(",")):
        try:
            ip_network(place.strip())
        except ValueError as error:
            raise SettingsError(f"COORDINATOR_TRUSTED_PROXIES: {error}; list addresses and networks.") from None
    for secret in settings.worker_secrets:
        if problem := secret_problem(secret):
            raise SettingsError(f"COORDINATOR_WORKER_SECRET {problem}.")
    if len(settings.worker_secrets) > 2:
        raise SettingsError("COORDINATOR_WORKER_SECRET holds more than two: give the new one and the one it replaces.")
    if settings.keys:
        try:
            parse_keyring(settings.keys)
        except ValueError as error:
            raise SettingsError(f"COORDINATOR_KEYS: {error}.") from None


def refuse_weak_tokens(settings: Settings) -> None:
    """Raises `SettingsError` for a token that can be guessed."""
    for number, token in enumerate(settings.token_list, 1):
        if problem := weakness(token):
            raise SettingsError(f"token {number} of COORDINATOR_TOKENS {problem}.")


async def refuse_open_door(settings: Settings, store: Store) -> None:
    """Raises `SettingsError` where everybody who can connect could do everything, and `StoreUnavailable`."""
    if not settings.is_loopback and not settings.token_list and not await store.tokens.read_all():
        raise SettingsError(
            f"--host {settings.host} lets others connect, and there is no token: nobody could be told from anybody. "
            "Set COORDINATOR_TOKENS to a long random text, or make a token: coordinator token create; "
            "or listen on 127.0.0.1."
        )


async def refuse_misplaced(settings: Settings) -> None:
    """A function of our own settings may be nearly anywhere, but not everywhere."""
    urls = [settings.worker_url] if settings.worker_url else []
    problems = await open_guard(settings.egress_allow, settings.worker_url).problems(urls)
    for problem in problems.values():
        raise SettingsError(f"--worker-url cannot be called: {problem}")
