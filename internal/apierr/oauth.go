package apierr

// The error codes of the two OAuth endpoints of device authorization, as RFC 6749 section 5.2 and
// RFC 8628 section 3.5 spell them. The other endpoints do not use them.
const (
	AuthorizationPending   Code = "authorization_pending"
	SlowDown               Code = "slow_down"
	AccessDenied           Code = "access_denied"
	ExpiredToken           Code = "expired_token"
	InvalidGrant           Code = "invalid_grant"
	InvalidScope           Code = "invalid_scope"
	UnsupportedGrantType   Code = "unsupported_grant_type"
	InvalidOAuthRequest    Code = "invalid_request"
	TemporarilyUnavailable Code = "temporarily_unavailable"
	ServerError            Code = "server_error"
)
