package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/deployment"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/volume"
)

// caller is who makes a call: an API key, or a user in a session.
type caller struct {
	key     *account.Key
	user    *account.User
	session *account.Session
	token   string // of the session
}

// callerOf returns the caller that was authenticated. It has nothing in it for a call of a Public
// operation.
func callerOf(c *rest.Call) caller {
	who, _ := c.Caller.Identity.(caller)
	return who
}

// sessionLimits are a session's: the dashboard shows several lists at once and polls them every few
// seconds.
var sessionLimits = rest.Limits{Read: 600, Write: 120, Deploy: 5}

// authenticator finds out who makes a call and what they may do.
type authenticator struct {
	db          *db.DB
	accounts    *account.Service
	deployments *deployment.Service
	volumes     *volume.Service
}

// authenticate takes an API key, or a session where the operation accepts one: the dashboard uses
// the same operations.
func (a authenticator) authenticate(ctx context.Context, c *rest.Call) error {
	if c.Route.Auth == rest.SessionOnly {
		return a.session(ctx, c)
	}
	secret, err := credential(c.Request)
	if err != nil {
		return err
	}
	if secret == "" {
		_, signedIn := c.Cookie(sessionCookie)
		switch {
		case signedIn && c.Route.Auth == rest.APIKeyOnly:
			return apierr.New(apierr.MissingAPIKey, "This operation requires an API key; a session is not accepted. "+
				"GET "+AccountBase+"/me describes the signed-in user.")
		case signedIn:
			return a.session(ctx, c)
		}
		return apierr.New(
			apierr.MissingAPIKey,
			"The request has no API key. Send one as `Authorization: Bearer pk_live_…`. "+
				"Create keys in the dashboard under Settings → API keys.",
		)
	}
	key, err := a.accounts.Authenticate(ctx, a.db, secret, c.Address())
	if err != nil {
		return err
	}
	c.Caller = rest.Caller{
		Account: key.Account, Key: key.ID, Bucket: "key/" + string(key.ID), Limits: rest.Limits(key.Limits),
		Secret: secret, Identity: caller{key: &key},
	}
	if key.Project != nil {
		return a.checkProject(ctx, c, *key.Project)
	}
	return nil
}

// projectTags are the operations that a key may call that is bound to a project. The others are
// about the whole account.
var projectTags = []string{tagOffers, tagDeployments, tagVolumes, tagSSHKeys, tagImages}

// checkProject refuses a key that is bound to a project what is of no project or of another one.
func (a authenticator) checkProject(ctx context.Context, c *rest.Call, project string) error {
	c.Caller.Project = project
	if !slices.Contains(projectTags, c.Route.Tag) && c.Route.Auth != rest.APIKeyOnly && c.Route.Auth != rest.Public {
		return apierr.New(apierr.InsufficientScope, "This API key is bound to the project %q, and this operation is "+
			"about the whole account. Use a key that is not bound to a project.", project)
	}
	switch subject := c.PathID(); subject.Kind() {
	case id.Deployment:
		return a.deployments.CheckProject(ctx, a.db, c.Caller.Account, subject, project)
	case id.Volume:
		return a.volumes.CheckProject(ctx, a.db, c.Caller.Account, subject, project)
	}
	return nil
}

// creatorOf is the caller as the creator of what the call makes.
func creatorOf(c *rest.Call) creator.Creator {
	switch who := callerOf(c); {
	case who.key != nil:
		return creator.Creator{Type: creator.APIKey, ID: who.key.ID, Name: who.key.Name}
	case who.user != nil:
		return creator.Creator{Type: creator.Member, ID: who.user.ID, Name: who.user.Called()}
	default:
		return creator.ByOperator
	}
}

// projectOf is the project for what the call makes or changes: the one that the request names, or
// the one that the caller's key is bound to.
func projectOf(c *rest.Call, named string) (string, error) {
	bound := c.Caller.Project
	if bound == "" || named == "" || named == bound {
		return cmp.Or(bound, named), nil
	}
	return "", apierr.Invalid([]apierr.FieldError{{
		Field: "project", Message: fmt.Sprintf("must be %q, which this API key is bound to; or omit it.", bound),
	}})
}

// newProjectOf is projectOf for a change, nil where the request does not name a project. A bound
// key cannot take anything out of its project.
func newProjectOf(c *rest.Call, named rest.SetOrNull[string]) (*string, error) {
	if !named.Given {
		return nil, nil
	}
	project := ""
	if named.Value != nil {
		project = *named.Value
	}
	project, err := projectOf(c, project)
	return &project, err
}

// session takes the session of the cookie.
func (a authenticator) session(ctx context.Context, c *rest.Call) error {
	token, _ := c.Cookie(sessionCookie)
	if token == "" {
		return apierr.New(
			apierr.SignInRequired,
			"Sign in first. This operation requires a session (POST /api/v1/account/sessions); API keys are not "+
				"accepted.",
		)
	}
	n, err := a.accounts.SessionOf(ctx, a.db, token)
	if err != nil {
		return err
	}
	c.Caller = rest.Caller{
		Account: n.Account, Bucket: "session/" + string(n.ID), Limits: sessionLimits, Secret: token,
		Identity: caller{user: &n.User, session: &n, token: token},
	}
	return nil
}

// authorize checks the operation's scope against the scopes of an API key, or of the user's role in
// the account.
func (a authenticator) authorize(c *rest.Call) error {
	who, scope := callerOf(c), account.Scope(c.Route.Scope)
	if err := checkView(c); err != nil {
		return err
	}
	switch {
	case c.Route.Auth == rest.OperatorOnly:
		if (who.key != nil && who.key.Allows(scope)) || (who.user != nil && who.user.Operator) {
			return nil
		}
		return lacksScope(
			scope,
			"This operation requires a signed-in operator, or an API key with the scope "+string(scope)+
				", which only `billetd key create --scopes "+string(scope)+"` can create.",
		)
	case c.Route.Auth == rest.APIKeyOnly || scope == "":
		return nil
	case who.key != nil && !who.key.Allows(scope):
		return lacksScope(scope, "This API key lacks the scope "+string(scope)+
			". Use a key that has it, or add it under Settings → API keys.")
	case who.key == nil && !who.session.Role.Allows(scope):
		roles := account.RolesWith(scope)
		err := lacksScope(
			scope,
			"Your role in this account is "+string(who.session.Role)+". This operation requires one of: "+
				strings.Join(texts(roles), ", ")+". Ask an owner or admin of the account.",
		)
		err.Details["role"], err.Details["roles"] = who.session.Role, roles
		return err
	}
	return nil
}

func lacksScope(scope account.Scope, message string) *apierr.Error {
	return &apierr.Error{
		Code: apierr.InsufficientScope, Message: message, Details: map[string]any{"requiredScope": scope},
	}
}

// knownBrowser identifies the user who has signed in before in the browser that makes the call; ""
// for none.
func (a authenticator) knownBrowser(c *rest.Call) string {
	device, _ := c.Cookie(deviceCookie)
	if device == "" {
		return ""
	}
	return a.accounts.BrowserUser(device)
}

// rolesWith are the roles that have the scope.
func rolesWith(scope string) []string { return texts(account.RolesWith(account.Scope(scope))) }

// credential returns the API key of a request; "" if it has none.
func credential(r *http.Request) (string, error) {
	bearers, plain := r.Header.Values("Authorization"), r.Header.Values("X-API-Key")
	bad := func(header, message string) error {
		return apierr.Invalid([]apierr.FieldError{{Field: "header." + header, Message: message}})
	}
	if len(bearers) > 1 {
		return "", bad("Authorization", "is given more than once; send it once.")
	}
	if len(plain) > 1 {
		return "", bad("X-API-Key", "is given more than once; send it once.")
	}
	secret := ""
	if len(bearers) == 1 {
		scheme, token, _ := strings.Cut(bearers[0], " ")
		if secret = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || secret == "" {
			return "", apierr.New(apierr.InvalidAPIKey, "The Authorization header must be `Bearer pk_live_…`.")
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

// texts returns the values of a list of strings of some type.
func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}
