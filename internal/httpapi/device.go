package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

const (
	// loginPage is where the dashboard asks for a code. It takes one behind the #, which no server on the way sees.
	loginPage = "/login-code"
	// loginInterval is how often a program may ask that does not have the server wait for it.
	loginInterval = 5 * time.Second
	// lookForDecision is how often another replica's decision is looked for.
	lookForDecision = 2 * time.Second
)

type startLogin struct {
	Body struct {
		Client string          `json:"client" minLength:"1" maxLength:"64" example:"billet on my-laptop" doc:"What asks, for the user to recognise it by: the program and its host."`
		Scopes []account.Scope `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"What it would like to do. The user decides; all is proposed to them if left out."`
	}
}

// startedLogin is a login with its codes, which are shown this once.
type startedLogin struct {
	DeviceCode string    `json:"deviceCode" doc:"What the login is claimed with. It is shown this once; show it to nobody."`
	UserCode   string    `json:"userCode" doc:"What the user types, such as BCDF-GHJK."`
	URL        string    `json:"verificationUrl" doc:"The page of the dashboard where they type it."`
	URLWhole   string    `json:"verificationUrlComplete" doc:"The same page with the code filled in."`
	ExpiresAt  time.Time `json:"expiresAt" doc:"Until when it can be allowed and claimed."`
	Interval   int       `json:"intervalSeconds" doc:"How many seconds to leave between claims that do not wait."`
}

type claimLogin struct {
	WaitSeconds int `query:"waitSeconds" minimum:"1" maximum:"60" doc:"Answer when the login is decided, or after so many seconds; at once if left out. More than 50 counts as 50."`
	Body        struct {
		DeviceCode string `json:"deviceCode" minLength:"1" maxLength:"128" doc:"As startLogin gave it."`
	}
}

// claimedLogin is what a claim got. All but the status is there only when it is allowed.
type claimedLogin struct {
	Status  string          `json:"status" enum:"pending,allowed" doc:"pending while nobody has decided: claim again."`
	Key     string          `json:"key,omitempty" doc:"The API key. Send it as Authorization: Bearer; keep it."`
	KeyID   id.ID           `json:"keyId,omitempty" doc:"Id of the key, key_…"`
	Name    string          `json:"name,omitempty" doc:"What the user called the key."`
	Scopes  []account.Scope `json:"scopes,omitempty" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"What it may do."`
	Expires *time.Time      `json:"expiresAt,omitempty" doc:"When the key ceases to work; left out for never."`
	Account *loginAccount   `json:"account,omitempty" doc:"The account that it works in."`
}

type loginAccount struct {
	ID   id.ID  `json:"id" doc:"Id of the account, acc_…"`
	Name string `json:"name" doc:"What it is called."`
}

type loginCode struct {
	Body struct {
		UserCode string `json:"userCode" minLength:"1" maxLength:"32" example:"BCDF-GHJK" doc:"What the program shows. Case, spaces and hyphens do not matter."`
	}
}

// waitingLogin is what whoever has the code may know before they decide.
type waitingLogin struct {
	Client    string          `json:"client" doc:"What the program calls itself, which nobody has checked."`
	Address   string          `json:"address" doc:"From where it was begun."`
	Scopes    []account.Scope `json:"scopes" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"What it would like to do; empty where it does not say."`
	CreatedAt time.Time       `json:"createdAt" doc:"When it was begun."`
	ExpiresAt time.Time       `json:"expiresAt" doc:"Until when it can be allowed and claimed."`
}

type allowLogin struct {
	Body struct {
		UserCode        string          `json:"userCode" minLength:"1" maxLength:"32" example:"BCDF-GHJK" doc:"What the program shows. Case, spaces and hyphens do not matter."`
		Name            string          `json:"name" minLength:"1" maxLength:"64" doc:"Of the key."`
		Scopes          []account.Scope `json:"scopes,omitempty" minItems:"1" maxItems:"10" enum:"offers:read,deployments:read,deployments:write,ssh-keys:read,ssh-keys:write,volumes:read,volumes:write,wallet:read,webhooks:read,webhooks:write" doc:"What the key may do; everything if left out, whatever the program asked for."`
		ExpiresAt       *time.Time      `json:"expiresAt,omitempty" doc:"Of the key, in the future; never if left out."`
		AllowedNetworks []string        `json:"allowedNetworks,omitempty" maxItems:"32" maxLength:"64" doc:"Addresses and CIDR networks from which the key works; anywhere if left out."`
		Spending        *wantedSpending `json:"spendingLimits,omitempty" doc:"What the key may spend; whatever the account has if left out."`
	}
}

// deniedLogin is the answer to a denial.
type deniedLogin struct {
	Denied bool `json:"denied"`
}

func (s *server) addLogins() {
	s.addLoginsOfPrograms()
	at := AccountBase + "/logins"
	read(s, spec{
		method: http.MethodPost, path: at + "/look", id: "lookAtLogin", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys, alone: true,
		summary: "What asks with a code", text: "For whoever types the code that a program shows.", errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, c *call, in *loginCode) (waitingLogin, error) {
		l, err := s.c.Accounts.FindDeviceAuthorization(ctx, s.c.DB, in.Body.UserCode)
		if err != nil {
			return waitingLogin{}, err
		}
		return waitingLogin{l.Client, l.Address, append([]account.Scope{}, l.Scopes...), l.CreatedAt, l.ExpiresAt}, nil
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/allow", id: "allowLogin", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Give the program with a code an API key",
		text:    "Makes the key in the account that you work in. Its secret is made when the program claims it and told to it alone; a key that is not claimed in time is revoked.",
		errors:  []apierr.Code{apierr.NotFound, apierr.LimitReached},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *allowLogin) (APIKey, error) {
		b := &in.Body
		k, err := s.c.Accounts.AllowDeviceAuthorization(ctx, tx, c.account, b.UserCode, account.KeyRequest{
			Name: b.Name, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt, AllowedNetworks: b.AllowedNetworks,
			CreatedBy: &account.Creator{ID: c.user.ID, Email: c.user.Email},
		})
		if err != nil {
			return APIKey{}, err
		}
		c.note.subject = k.ID
		err = setSpending(ctx, tx, k.ID, b.Spending)
		return s.spendingOf(ctx, tx, k, err)
	})

	write(s, spec{
		method: http.MethodPost, path: at + "/deny", id: "denyLogin", tag: tagAccount, door: doorUser, scope: account.WriteAPIKeys,
		summary: "Refuse the program with a code", errors: []apierr.Code{apierr.NotFound},
	}, func(ctx context.Context, tx *db.Tx, c *call, in *loginCode) (deniedLogin, error) {
		l, err := s.c.Accounts.DenyDeviceAuthorization(ctx, tx, c.account, c.user.ID, in.Body.UserCode)
		c.note.subject = l.ID
		return deniedLogin{true}, err
	})
	for _, path := range []string{"/look", "/allow", "/deny"} {
		s.guessed(at + path)
	}
}

// guessed has each call of the route count as a try of a login's code, before anything else is done.
func (s *server) guessed(path string) {
	rt := s.paths[path].routes[http.MethodPost]
	serve := rt.serve
	rt.serve = func(ctx context.Context, w http.ResponseWriter, c *call) (answer, error) {
		done, err := s.c.Accounts.Guess(ctx, c.user.ID)
		if err != nil {
			return answer{}, err
		}
		a, err := serve(ctx, w, c)
		if back := done(missed(a, err)); back != nil {
			s.c.Log.WarnContext(ctx, "a code that was right counts as a wrong one", slog.String("error", back.Error()))
		}
		return a, err
	}
}

// missed reports whether the call may have told that a code leads nowhere. What else is wrong with a request may be found
// only where the code leads somewhere, so that it tells as much.
func missed(a answer, err error) bool {
	if err == nil {
		return a.Status == http.StatusNotFound // an answer that was kept for an Idempotency-Key
	}
	var f *apierr.Error
	if !errors.As(err, &f) {
		return false
	}
	mistyped := slices.ContainsFunc(f.Fields(), func(at apierr.FieldError) bool { return at.Field == "userCode" })
	return f.Code == apierr.NotFound || (f.Code == apierr.InvalidRequest && !mistyped)
}

// addLoginsOfPrograms adds what a program calls that has no key yet.
func (s *server) addLoginsOfPrograms() {
	at := Base + "/logins"
	read(s, spec{
		method: http.MethodPost, path: at, id: "startLogin", tag: tagAccount, door: doorOpen, status: http.StatusCreated,
		summary: "Ask for an API key with a code",
		text: "For programs at a terminal. Show the user `userCode` and `verificationUrl`; they sign in to the dashboard and allow it there. Meanwhile claim it with `deviceCode`. " +
			"Nothing is made before that. An Idempotency-Key has no meaning here: each call begins another login.",
		errors: []apierr.Code{apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *startLogin) (startedLogin, error) {
		var n account.NewDeviceAuthorization
		err := s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = s.c.Accounts.StartDeviceAuthorization(ctx, tx, in.Body.Client, in.Body.Scopes, s.address(c.request))
			return err
		})
		page := *s.public(c.request)
		page.Path = loginPage
		whole := page
		whole.Fragment = n.UserCode
		return startedLogin{n.DeviceCode, n.UserCode, page.String(), whole.String(), n.ExpiresAt, int(loginInterval / time.Second)}, err
	})

	read(s, spec{
		method: http.MethodPost, path: at + "/claim", id: "claimLogin", tag: tagAccount, door: doorOpen, also: []int{http.StatusAccepted}, long: longestWait,
		summary: "Claim the API key of a login",
		text: "202 while nobody has decided: claim again, best with `waitSeconds`. 200 has the key. A claim whose answer was lost may be repeated while the login lasts and the key was not used; " +
			"each makes a new secret, and the one before ceases to work. NOT_FOUND is a device code that is unknown, or expired more than an hour ago. An Idempotency-Key has no meaning here.",
		errors: []apierr.Code{apierr.NotFound, apierr.LoginDenied, apierr.LoginExpired, apierr.LoginClaimed, apierr.Conflict, apierr.NetworkNotAllowed},
	}, func(ctx context.Context, c *call, in *claimLogin) (claimedLogin, error) {
		l, err := s.awaitLogin(ctx, in.Body.DeviceCode, waitOf(in.WaitSeconds))
		if err == nil && l.Status == account.DevicePending {
			c.status = http.StatusAccepted
			return claimedLogin{Status: string(l.Status)}, nil
		}
		if err != nil {
			return claimedLogin{}, err
		}
		return s.claimed(ctx, c, in.Body.DeviceCode)
	})
}

// claimed makes the secret, in one transaction with the audit's entry.
func (s *server) claimed(ctx context.Context, c *call, deviceCode string) (out claimedLogin, err error) {
	err = s.c.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		k, secret, err := s.c.Accounts.ClaimDeviceAuthorization(ctx, tx, deviceCode)
		if err != nil {
			return err
		}
		a, err := s.c.Accounts.Get(ctx, tx, k.Account)
		if err != nil {
			return err
		}
		out = claimedLogin{string(account.DeviceApproved), secret, k.ID, k.Name, k.Scopes, k.ExpiresAt, &loginAccount{a.ID, a.Name}}
		c.key, c.account, c.note = &k, k.Account, note{subject: k.ID}
		return s.record(ctx, tx, c)
	})
	return out, err
}

// awaitLogin returns the login once it is decided, or as it is when the time is over or the server stops. A caller who went away gets nothing.
func (s *server) awaitLogin(ctx context.Context, deviceCode string, wait time.Duration) (account.DeviceAuthorization, error) {
	until, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var stopping <-chan struct{}
	for {
		decided := s.c.Accounts.Decisions() // before the look: what comes between is not missed
		l, err := s.c.Accounts.DeviceAuthorizationOf(ctx, s.c.DB, deviceCode)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || l.Status != account.DevicePending || until.Err() != nil {
			return l, err
		}
		if stopping == nil {
			var unwatch func()
			stopping, unwatch = s.c.Events.Watch(l.ID) // of which there are no events: it is closed when the server stops
			defer unwatch()
		}
		look, again := context.WithTimeout(until, lookForDecision)
		select {
		case <-stopping:
			again()
			return l, nil
		case <-decided:
		case <-look.Done():
		}
		again()
	}
}
