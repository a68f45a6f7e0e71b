package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/fault"
	"github.com/billetcloud/billet/internal/id"
)

type signIn struct {
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254" example:"me@example.com"`
		Password string `json:"password" minLength:"1" maxLength:"1024"`
	}
}

// session is a signed-in person, and until when.
type session struct {
	Person    account.Person `json:"person"`
	ExpiresAt time.Time      `json:"expiresAt"`
}

// signedOut is the answer to signing out.
type signedOut struct {
	SignedOut bool `json:"signedOut"`
}

// me is who is signed in.
type me struct {
	Person  account.Person  `json:"person"`
	Account account.Account `json:"account"`
}

type apiKeyPath struct {
	ID id.ID `path:"id" doc:"Id of the key, key_…"`
}

type createAPIKey struct {
	Body struct {
		Name            string          `json:"name" minLength:"1" maxLength:"64" example:"ci"`
		Scopes          []account.Scope `json:"scopes,omitempty" minItems:"1" maxItems:"8" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read" doc:"What the key may do; everything if left out."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"In the future; never if left out."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"Addresses and CIDR networks from which the key works; anywhere if left out."`
	}
}

type updateAPIKey struct {
	apiKeyPath
	Body struct {
		Name            *string              `json:"name,omitempty" minLength:"1" maxLength:"64"`
		Scopes          *[]account.Scope     `json:"scopes,omitempty" minItems:"1" maxItems:"8" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read"`
		ExpiresAt       setOrNull[time.Time] `json:"expiresAt,omitempty" doc:"null for never."`
		AllowedNetworks *[]string            `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"An empty list for anywhere."`
	}
}

func (in *updateAPIKey) check() []fault.Field {
	b := &in.Body
	return anything(b.Name != nil || b.Scopes != nil || b.ExpiresAt.Given || b.AllowedNetworks != nil)
}

// newAPIKey is a key with its secret, which is shown this once.
type newAPIKey struct {
	account.Key
	Secret string `json:"key" doc:"Send it as Authorization: Bearer. It is shown this once; keep it."`
}

func (s *server) addAccount() {
	sessions := AccountBase + "/sessions"
	read(s, spec{
		method: http.MethodPost, path: sessions, id: "signIn", tag: tagAccount, door: doorOpen, status: http.StatusCreated,
		summary: "Sign in", text: "Sets a cookie that scripts cannot read. An Idempotency-Key has no meaning here: each call makes a session of its own.",
		errors: []fault.Code{fault.SignInFailed, fault.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *signIn) (session, error) {
		p, token, expires, err := s.c.Accounts.SignIn(ctx, in.Body.Email, in.Body.Password, s.address(c.request))
		if err != nil {
			return session{}, err
		}
		// The cookie's life is counted by the browser's clock, so it is told as a length.
		s.setCookie(c, token, int(expires.Sub(s.c.Clock.Now())/time.Second))
		return session{p, expires}, nil
	})

	write(s, spec{
		method: http.MethodDelete, path: sessions, id: "signOut", tag: tagAccount, door: doorPerson, summary: "Sign out",
	}, func(ctx context.Context, tx *db.Tx, c *call, _ *none) (signedOut, error) {
		s.setCookie(c, "", -1)
		return signedOut{true}, s.c.Accounts.SignOut(ctx, tx, c.token)
	})

	read(s, spec{
		method: http.MethodGet, path: AccountBase + "/me", id: "getMe", tag: tagAccount, door: doorPerson, summary: "Who is signed in",
	}, func(ctx context.Context, c *call, _ *none) (me, error) {
		a, err := s.c.Accounts.Get(ctx, s.c.DB, c.account)
		return me{*c.person, a}, err
	})

	keys := AccountBase + "/api-keys"
	list(s, spec{
		method: http.MethodGet, path: keys, id: "listApiKeys", tag: tagAccount, door: doorPerson,
		summary: "List API keys", text: "Newest first if no sort is given; revoked ones too, without their secrets.",
	}, func(ctx context.Context, c *call, in *listQuery, p db.Page) ([]account.Key, int, error) {
		return s.c.Accounts.ListKeys(ctx, s.c.DB, c.account, in.order(), p)
	})

	write(s, spec{
		method: http.MethodPost, path: keys, id: "createApiKey", tag: tagAccount, door: doorPerson, status: http.StatusCreated,
		summary: "Make an API key", text: "The answer has the secret, which nobody can learn again. Repeated with its Idempotency-Key in the same session it shows it again within 24 hours; in another session it is a CONFLICT.",
		errors: []fault.Code{fault.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *createAPIKey) (newAPIKey, error) {
		b := &in.Body
		k, secret, err := s.c.Accounts.CreateKey(ctx, tx, c.account, account.KeyRequest{
			Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
		})
		c.created(k.ID)
		return newAPIKey{k, secret}, err
	})

	read(s, spec{
		method: http.MethodGet, path: keys + "/{id}", id: "getApiKey", tag: tagAccount, door: doorPerson, summary: "Get an API key",
	}, func(ctx context.Context, c *call, in *apiKeyPath) (account.Key, error) {
		return s.c.Accounts.GetKey(ctx, s.c.DB, c.account, in.ID)
	})

	write(s, spec{
		method: http.MethodPatch, path: keys + "/{id}", id: "updateApiKey", tag: tagAccount, door: doorPerson,
		summary: "Change an API key", text: "Its limits are the operator's to change.", errors: []fault.Code{fault.Conflict},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *updateAPIKey) (account.Key, error) {
		b := &in.Body
		return s.c.Accounts.UpdateKey(ctx, tx, c.account, in.ID, account.KeyUpdate{
			Name: b.Name, Scopes: b.Scopes, AllowedNetworks: b.AllowedNetworks, SetExpiry: b.ExpiresAt.Given, ExpiresAt: b.ExpiresAt.Value,
		})
	})

	write(s, spec{
		method: http.MethodDelete, path: keys + "/{id}", id: "revokeApiKey", tag: tagAccount, door: doorPerson,
		summary: "Revoke an API key", text: "At once and for good. It stays in the list.",
	}, func(ctx context.Context, tx *db.Tx, c *call, in *apiKeyPath) (account.Key, error) {
		return s.c.Accounts.RevokeKey(ctx, tx, c.account, in.ID)
	})
}

// setCookie sets the session's cookie, or with a negative age takes it back.
func (s *server) setCookie(c *call, token string, age int) {
	cookie := http.Cookie{
		Name: sessionCookie, Value: token, Path: "/api/v1", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.secure(c.request),
	}
	c.setHeader("Set-Cookie", cookie.String())
}
