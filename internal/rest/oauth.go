package rest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/id"
)

// formMedia is the media type of OAuth requests.
const formMedia = "application/x-www-form-urlencoded"

// OAuthCodes are the error codes of the OAuth operations, in the order of the documentation.
var OAuthCodes = []struct {
	Code    apierr.Code
	Meaning string
}{
	{apierr.AuthorizationPending, "The user has not decided yet. Ask again after `interval` seconds."},
	{apierr.SlowDown, "Requests come too fast. Add 5 seconds to the interval, or wait for `Retry-After`."},
	{apierr.AccessDenied, "The user denied the request."},
	{apierr.ExpiredToken, "The device code expired. Request another."},
	{
		apierr.InvalidGrant,
		"The device code is unknown, belongs to another `client_id`, or its API key was used or revoked.",
	},
	{apierr.InvalidScope, "`scope` has a scope that does not exist."},
	{apierr.UnsupportedGrantType, "`grant_type` is not `urn:ietf:params:oauth:grant-type:device_code`."},
	{apierr.InvalidOAuthRequest, "A parameter is missing or malformed, or the request cannot be read."},
	{apierr.TemporarilyUnavailable, "The server cannot answer now; see `Retry-After`."},
	{apierr.ServerError, "The server failed. The request id identifies the failure in its log."},
}

// oauthFailure is the body of an error of RFC 6749 section 5.2.
type oauthFailure struct {
	Error       apierr.Code `json:"error" doc:"A stable code; see Device authorization codes."`
	Description string      `json:"error_description" doc:"What is wrong and what to do, for a developer to read."`
}

// oauthFailed makes the response to an error of an OAuth endpoint.
func oauthFailed(err error, request id.ID) Answer {
	e, is := errors.AsType[*apierr.Error](err)
	if is && isOAuth(e.Code) {
		body := Encode(oauthFailure{e.Code, oauthText(e.Message)})
		return Answer{Status: http.StatusBadRequest, Header: map[string]string{}, Body: body}
	}
	a := failed(err, request)
	code := apierr.InvalidOAuthRequest
	switch a.Status {
	case http.StatusTooManyRequests:
		code = apierr.SlowDown
	case http.StatusServiceUnavailable:
		code = apierr.TemporarilyUnavailable
	case http.StatusInternalServerError:
		code = apierr.ServerError
	}
	message := "The server failed. Tell its operator the request id " + string(request) + "."
	if a.Status != http.StatusInternalServerError {
		message = e.Message
	}
	a.Body = Encode(oauthFailure{code, oauthText(message)})
	return a
}

func isOAuth(code apierr.Code) bool {
	for _, c := range OAuthCodes {
		if c.Code == code {
			return true
		}
	}
	return false
}

// oauthText replaces the characters that RFC 6749 does not allow in an error_description.
func oauthText(message string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '`':
			return '\''
		case r < ' ' || r > '~' || r == '\\':
			return '?'
		}
		return r
	}, message)
}

// formObject turns the parameters of a form that the endpoint knows into a JSON object. It ignores
// unknown and empty parameters, as RFC 6749 section 3.2 requires.
func (in *input) formObject(body []byte) ([]byte, error) {
	values, err := url.ParseQuery(string(body))
	for _, list := range values {
		if err == nil && slices.ContainsFunc(list, func(v string) bool { return !isUTF8(v) }) {
			err = errors.New("a value is not valid UTF-8")
		}
	}
	if err != nil {
		return nil, apierr.New(
			apierr.InvalidOAuthRequest,
			"The form cannot be read: encode its values as UTF-8, and special characters as %%XX.",
		)
	}
	object := map[string]string{}
	for name := range in.resolve(in.schema).Properties {
		switch list := values[name]; {
		case len(list) > 1:
			return nil, apierr.New(apierr.InvalidOAuthRequest, "%s is given %d times; give it once.", name, len(list))
		case len(list) == 1 && list[0] != "":
			object[name] = list[0]
		}
	}
	return Encode(object), nil
}

// oauthCodesByStatus are all codes that an OAuth operation can answer.
func (rt *Route) oauthCodesByStatus() map[string][]apierr.Code {
	return map[string][]apierr.Code{
		"400": append([]apierr.Code{apierr.InvalidOAuthRequest}, rt.Errors...),
		"408": {apierr.InvalidOAuthRequest},
		"413": {apierr.InvalidOAuthRequest},
		"415": {apierr.InvalidOAuthRequest},
		"429": {apierr.SlowDown},
		"500": {apierr.ServerError},
		"503": {apierr.TemporarilyUnavailable},
	}
}
