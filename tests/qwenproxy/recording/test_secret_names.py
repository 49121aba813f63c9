"""Names that name a secret, and names that only look like it."""

import pytest

from qwenproxy.recording.secret_names import ROOTS, is_secret, is_secret_parameter


def words(text: str) -> list[str]:
    return text.split()


SECRET = words(
    """
    Authorization Proxy-Authorization Cookie Set-Cookie X-API-Key api-key x-goog-api-key
    Ocp-Apim-Subscription-Key X-Auth-Token cf-aig-authorization X-Amz-Security-Token Helicone-Auth
    x-functions-key x-litellm-key x-amz-signature x-jwt x-api-pass x-private-key apikey accessToken
    client_secret X-Api-Secret X-Session-Id X-CSRF-Token x-xsrf-token x-access-token X-Vault-Token
    PRIVATE-TOKEN JOB-TOKEN X-Hub-Signature-256 Stripe-Signature X-Signature X-Gitlab-Token
    X-Shopify-Access-Token DD-API-KEY X-Figma-Token X-Plex-Token X-Goog-Iam-Authorization-Token
    x-ms-authorization-auxiliary X-Bearer X-Credential X-Credentials X-Passphrase
    CF-Access-Client-Secret CF-Access-Jwt-Assertion X-Forwarded-Access-Token
    X-Auth-Request-Access-Token x-opencode-session X-Password X-User-Pass apiKey api_key
    openai_api_key OPENAI_API_KEY APIKey OpenAIKey password passwd passwordHash user_password
    db_pass dbPassword PGPASSWORD pwd secret secrets secretKey secret_key aws_secret_access_key
    aws_access_key_id aws_session_token access_token refresh_token id_token idToken bearer_token
    token tokens_auth auth oauth oauth2 authToken auth_token authKey credentials credential
    private_key privateKey private_key_id passphrase key master_key license_key signing_key
    encryptionKey session sessionToken session_id sessionid JSESSIONID PHPSESSID sid_token jwt
    jwtToken sig signature cookie cookies github_token GH_TOKEN hf_token webhook_secret api_keys
    access_tokens refreshTokens key1 api_key_2 token2 clientsecret apitoken service_account_key
    ssh_key sshKey passcode X-Amz-Credential X-Goog-Signature
    """
)
PLAIN = words(
    """
    max_tokens max_completion_tokens token_ids tokenizer prompt_tokens completion_tokens
    total_tokens cached_tokens reasoning_tokens tool_choice keywords monkey author authors sort_key
    cache_key prompt_cache_key keyboard keyframe hotkey turkey whiskey donkey Content-Type
    X-RateLimit-Remaining-Tokens X-RateLimit-Limit-Tokens User-Agent X-Request-Id stop_token_ids
    eos_token_id bos_token pad_token tokens tokenize detokenize tokenization token_count token_type
    token_limit token_usage min_tokens num_tokens input_tokens output_tokens max_output_tokens
    prompt_tokens_details completion_tokens_details token_logprobs first_token time_to_first_token
    primary_key foreign_key partition_key group_key public_key object_key key_points keyPoints
    key_findings key_name keyName key_type keys key_phrases keyCode hot_key shortcut_key secretary
    authority authored authorName authenticated session_timeout sessions session_name sessionType
    session_count cookie_name password_length passwordPolicy password_required passed passes
    passenger passage bypass compass first_pass second_pass passthrough signal signed design assign
    sign resign function_signature method_signature designer message messages content role model
    temperature top_p Access-Control-Allow-Credentials Accept Host Content-Length Idempotency-Key
    token_budget max_tokens_per_call maxTokens promptTokens tokensPerSecond tokens_per_second
    auth_type auth_url authMethod token_url tokenEndpoint key_path keyFile index id name arguments
    parameters properties city filePath oldString description credential_type secret_name issue_key
    translation_key row_key expires_in session_duration accessed access process possession
    obsession passive
    """
)


@pytest.mark.parametrize("name", SECRET)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    assert is_secret_parameter(name)
    assert any(root in name.lower().encode() for root in ROOTS), "or no text is searched for it"


@pytest.mark.parametrize("name", [name for name in SECRET if "-" in name])
def test_headers_are_written_in_any_case(name: str) -> None:
    assert is_secret(name.lower())
    assert is_secret(name.upper())


@pytest.mark.parametrize("name", PLAIN)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)
    assert not is_secret_parameter(name)


@pytest.mark.parametrize("name", ["code", "pwd", "X-Amz-Signature", "sig", "key", "sas"])
def test_names_in_urls(name: str) -> None:
    assert is_secret_parameter(name)
    assert not is_secret("code")  # of an error, or of a program
