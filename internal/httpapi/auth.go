package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
)

// admit finds out who calls, counts the call, and tells whether they may make it. Every way out has counted it once.
func (s *server) admit(ctx context.Context, w http.ResponseWriter, c *call) error {
	var err error
	switch c.route.door {
	case doorOpen, doorProbe:
		if err := s.takeAddress(ctx, w, c.request, c.route.door); err != nil {
			return err
		}
		return s.sameSite(c.request)
	case doorUser:
		err = s.admitUser(ctx, c)
	default:
		err = s.admitKey(ctx, c)
	}
	if err != nil {
		// Whoever tries keys is slowed down by address. The limit hides whether the last one was right.
		if limited := s.takeRefused(ctx, w, c, err); limited != nil {
			return limited
		}
		return err
	}
	if err := s.takeCaller(ctx, w, c); err != nil {
		return err
	}
	return s.mayCall(c)
}

// mayCall tells whether who was found out may make this call.
func (s *server) mayCall(c *call) error {
	if c.key == nil {
		if err := s.sameSite(c.request); err != nil {
			return err
		}
		if c.route.door == doorOperator {
			if !c.user.Operator {
				return lacksOperator(c.route.scope)
			}
			return nil
		}
		return c.roleAllows()
	}
	if c.route.door == doorOperator && !c.key.Allows(c.route.scope) {
		return lacksOperator(c.route.scope)
	}
	if c.route.door != doorAnyKey && !c.key.Allows(c.route.scope) {
		return &apierr.Error{
			Code:    apierr.InsufficientScope,
			Message: "This API key lacks the scope " + string(c.route.scope) + ". Use a key that has it, or add it under Settings → API Keys.",
			Details: map[string]any{"requiredScope": c.route.scope},
		}
	}
	return nil
}

// still tells whether the caller of a call that goes on for long could make it again now: the key may be revoked
// meanwhile, the session ended or turned to another account. It is not counted.
func (s *server) still(ctx context.Context, c *call) error {
	again := &call{request: c.request, route: c.route, id: c.id}
	admit := s.admitKey
	if c.key == nil {
		admit = s.admitUser
	}
	if err := admit(ctx, again); err != nil {
		return err
	}
	if again.account != c.account {
		return apierr.New(apierr.SignInRequired, "The session has been turned to another account.")
	}
	return s.mayCall(again)
}

// stillAfterBody asks again whether the caller may make the call where its body has been read: a body may come half a
// minute after the headers that let it in, and whoever was put out meanwhile does nothing more.
func (s *server) stillAfterBody(ctx context.Context, c *call) error {
	if c.request.Body == nil || c.request.Body == http.NoBody || (c.key == nil && c.session == nil) {
		return nil
	}
	return s.still(ctx, c)
}

func lacksOperator(scope account.Scope) error {
	return &apierr.Error{
		Code:    apierr.InsufficientScope,
		Message: "This call is the operator's. It takes a signed-in operator, or a key with the scope " + string(scope) + ", which only `billetd key create --scopes " + string(scope) + "` makes.",
		Details: map[string]any{"requiredScope": scope},
	}
}

// admitKey takes an API key, or else, unless the route is for keys only, a signed-in user: the dashboard uses the same calls.
func (s *server) admitKey(ctx context.Context, c *call) error {
	secret, err := credential(c.request)
	if err != nil {
		return err
	}
	if secret == "" {
		signedIn := s.hasCookie(c.request, sessionCookie)
		if signedIn && c.route.door == doorAnyKey {
			return apierr.New(apierr.MissingAPIKey, "This call is for API keys, and a signed-in user made it. GET "+AccountBase+"/me tells who is signed in.")
		}
		if signedIn {
			return s.admitUser(ctx, c)
		}
		return apierr.New(apierr.MissingAPIKey, "No API key was sent. Send it as `Authorization: Bearer pk_live_…`; keys are made in the dashboard under Settings → API Keys.")
	}
	key, err := s.c.Accounts.Authenticate(ctx, s.c.DB, secret, s.address(c.request))
	if err != nil {
		return err
	}
	c.key, c.account = &key, key.Account
	return nil
}

// admitUser takes the session of the cookie. What only the operator may do is asked of c.user.Operator.
func (s *server) admitUser(ctx context.Context, c *call) error {
	token := s.cookie(c.request, sessionCookie)
	if token == "" {
		return apierr.New(apierr.SignInRequired, "Sign in first: this call takes no API key, only a session (POST /api/v1/account/sessions).")
	}
	n, err := s.c.Accounts.SessionOf(ctx, s.c.DB, token)
	if err != nil {
		return err
	}
	c.session, c.user, c.account, c.token = &n, &n.User, n.Account, token
	return nil
}

// credential returns the API key of a request, "" where there is none.
func credential(r *http.Request) (string, error) {
	bearers, plain := r.Header.Values("Authorization"), r.Header.Values("X-API-Key")
	bad := func(header, message string) error {
		return apierr.Invalid([]apierr.FieldError{{Field: "header." + header, Message: message}})
	}
	if len(bearers) > 1 {
		return "", bad("Authorization", "is given more than once; give it once.")
	}
	if len(plain) > 1 {
		return "", bad("X-API-Key", "is given more than once; give it once.")
	}
	secret := ""
	if len(bearers) == 1 {
		scheme, token, _ := strings.Cut(bearers[0], " ")
		if secret = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || secret == "" {
			return "", apierr.New(apierr.InvalidAPIKey, "The Authorization header must read `Bearer pk_live_…`.")
		}
	}
	if len(plain) == 1 {
		if secret != "" && secret != plain[0] {
			return "", bad("X-API-Key", "differs from the key in Authorization; send one of the two headers.")
		}
		if secret = plain[0]; secret == "" {
			return "", apierr.New(apierr.InvalidAPIKey, "The X-API-Key header is empty.")
		}
	}
	return secret, nil
}

// sameSite refuses a change that another web site's page makes with the user's cookie.
func (s *server) sameSite(r *http.Request) error {
	if err := s.crossOrigin.Check(r); err != nil {
		return &apierr.Error{Code: apierr.NetworkNotAllowed, Message: "This request comes from another web site. Make it from this site's own pages, or with an API key.", Cause: err}
	}
	return nil
}

// roleAllows checks the route's scope against the user's role in the session's account, as a key's scopes are checked.
func (c *call) roleAllows() error {
	if c.route.scope == "" || c.session.Role.Allows(c.route.scope) {
		return nil
	}
	with := account.RolesWith(c.route.scope)
	return &apierr.Error{
		Code:    apierr.InsufficientScope,
		Message: "Your role in this account is " + string(c.session.Role) + ". This needs one of: " + strings.Join(texts(with), ", ") + ". Ask an owner or admin of the account.",
		Details: map[string]any{"requiredScope": c.route.scope, "role": c.session.Role, "roles": with},
	}
}
