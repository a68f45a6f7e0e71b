package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/adjustment"
	"github.com/billetcloud/billet/internal/altcha"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/console"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/credit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/postgres"
	"github.com/billetcloud/billet/internal/db/sqlite"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/mail"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/operator"
	"github.com/billetcloud/billet/internal/osimage"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/pricerule"
	"github.com/billetcloud/billet/internal/promo"
	"github.com/billetcloud/billet/internal/provideraccount"
	"github.com/billetcloud/billet/internal/quota"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/recovery"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/setup"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/signup"
	"github.com/billetcloud/billet/internal/spendlimit"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/billetcloud/billet/internal/webhook"
	"github.com/billetcloud/billet/internal/webhook/outbound"
)

// Operator is what operator commands need of the server. It works on the database itself, also
// while the server runs.
type Operator struct {
	DB               *db.DB
	IDs              *id.Maker
	Clock            clock.Clock
	Accounts         *account.Service
	Audit            *audit.Service
	Wallet           *wallet.Ledger
	Jobs             *job.Queue
	Credits          *credit.Service
	PromoCodes       *promo.Service
	Events           *event.Service
	Issues           *issue.Service
	Console          *operator.Service
	ProviderAccounts *provideraccount.Service
	PriceRules       *pricerule.Service
	Webhooks         *webhook.Service
	Settings         *settings.Service
	Mail             *mail.Service
	SignUp           *signup.Service
	Announcements    *announcement.Service
	Adjustments      *adjustment.Service
	Invoices         *invoice.Service
	Payments         *payment.Service
	Setup            *setup.Service
	SignedHeads      *signedhead.Service
	Machines         *rack.Service
	Recovery         *recovery.Service
	Consoles         *console.Service
	Images           *osimage.Service

	services  services
	restored  atomic.Bool                 // whether the database is in recovery, as last read
	settled   atomic.Int64                // until when a recovery settles, in Unix nanoseconds
	racks     atomic.Pointer[rack.Server] // nil if this server does not serve the operator's own servers
	skew      *skew
	secrets   *secret.Box
	simulated *clock.Simulated // nil if the clock is the system's
}

// base is an open database with its clocks.
type base struct {
	db    *db.DB
	real  *clock.Followed
	clock clock.Clock
	// simulated is nil if clock is real.
	simulated *clock.Simulated
}

// openDatabase opens the database, without migrating it, with the clock of the data directory.
func openDatabase(ctx context.Context, c Config) (o base, err error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return o, fmt.Errorf("create the data directory: %w", err)
	}
	o.real = clock.NewFollowed(crashpoint.Now)
	if o.clock, o.simulated, err = loadClock(c.DataDir, c.Sim, o.real); err != nil {
		return o, err
	}
	switch {
	case c.Database != nil:
		o.db = c.Database
	case c.DatabaseURL == "":
		o.db, err = sqlite.Open(ctx, filepath.Join(c.DataDir, "billet.db"), o.clock)
	default:
		o.db, err = postgres.OpenWith(ctx, c.DatabaseURL, o.clock, c.connections())
	}
	return o, err
}

// OpenOperator opens the database for a command, which never migrates it. The result must be
// closed.
func OpenOperator(ctx context.Context, c Config) (*Operator, error) {
	return openOperator(ctx, c, false)
}

// openOperator opens the database for the server, which may migrate it, or for a command.
func openOperator(ctx context.Context, c Config, serving bool) (*Operator, error) {
	at, err := openDatabase(ctx, c)
	if err != nil {
		return nil, err
	}
	real, o := at.real, &Operator{DB: at.db, Clock: at.clock, simulated: at.simulated}
	log := c.Log
	if log == nil { // a command only writes its output
		log = slog.New(slog.DiscardHandler)
	}
	measured := skewConfig{db: o.DB, machine: crashpoint.Now, log: log, bound: c.MaxClockSkew}
	if o.DB.Engine() == db.Postgres { // SQLite's clock is this machine's
		measured.followed = real
	}
	o.skew = newSkew(measured)
	if err := o.skew.measure(ctx); err != nil {
		return nil, errors.Join(err, o.DB.Close())
	}
	if err := c.ready(ctx, o.DB, serving); err != nil {
		return nil, errors.Join(err, o.DB.Close())
	}
	secrets, err := openSecrets(ctx, c, o.DB)
	if err != nil {
		return nil, errors.Join(err, o.DB.Close())
	}
	o.secrets = secrets
	o.IDs = id.NewMaker(o.Clock, rand.Reader)
	o.Accounts = account.New(account.Config{DB: o.DB, IDs: o.IDs, Rand: rand.Reader, Clock: o.Clock, Real: real.Now,
		Secrets: secrets})
	o.ProviderAccounts = provideraccount.New(secrets, kinds())
	o.PriceRules = pricerule.New(o.IDs)
	o.Audit = audit.New(o.IDs)
	o.Settings = settings.New(settings.Config{
		DB: o.DB, Real: real.Now, Secrets: secrets, TestPayments: c.Sim,
	})
	o.Jobs, o.Events = job.NewQueue(o.IDs), event.New(o.IDs)
	imageNetworks, err := parseNetworks(c.ImageNetworks)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--image-allow-networks: %w", err), o.DB.Close())
	}
	o.Images = osimage.New(osimage.Config{
		DB: o.DB, IDs: o.IDs, Check: outbound.New(outbound.Config{Allow: imageNetworks, Downloads: true}).Check,
	})
	o.Consoles = console.New(console.Config{DB: o.DB, IDs: o.IDs, Audit: o.Audit, Jobs: o.Jobs})
	public, err := parsePublicURL(c.PublicURL)
	if err != nil {
		return nil, errors.Join(err, o.DB.Close())
	}
	o.Mail = o.mail(public, log)
	if o.Webhooks, err = o.webhooks(c, log, secrets, real); err != nil {
		return nil, errors.Join(err, o.DB.Close())
	}
	o.Wallet = wallet.New(wallet.Config{DB: o.DB, IDs: o.IDs,
		CrossedZero: func(ctx context.Context, tx *db.Tx, of id.ID) error {
			// At once, whether a credit, a refund or a release ended the debt.
			return o.Jobs.Enqueue(ctx, tx, of, meter.KindPastDue, of, tx.Now)
		}, BelowMark: payment.CrossedLow(o.Jobs)})
	policy := issue.Policy{EndOrphans: c.OrphanedMachines == "terminate", Grace: c.OrphanedMachinesGrace}
	o.Issues = issue.New(issue.Config{
		IDs: o.IDs, Jobs: o.Jobs, Log: log, Policy: policy, Paused: o.settles,
	})
	o.Machines = rack.New(rack.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Jobs: o.Jobs, Secrets: secrets, Issues: o.Issues,
		Open: bmc.Open, Server: o.racksServer, ImageNetworks: imageNetworks,
	})
	o.SignedHeads = signedhead.New(signedhead.Config{DB: o.DB, Jobs: o.Jobs, Issues: o.Issues, Secrets: secrets})
	o.Credits = credit.New(credit.Config{DB: o.DB, IDs: o.IDs, Wallet: o.Wallet, Events: o.Events, Jobs: o.Jobs})
	o.PromoCodes = promo.New(promo.Config{IDs: o.IDs, Accounts: o.Accounts, Credits: o.Credits, Settings: o.Settings})
	o.services = o.buildServices(c, log)
	o.services.payments = o.buildPayments(c, public, log)
	o.Payments = o.services.payments.svc
	o.Recovery = recovery.New(recovery.Config{
		DB: o.DB, Jobs: o.Jobs, Log: log, Issues: o.Issues, Providers: o.services.providers,
		Compare: o.compare, Settle: o.services.deployments.SettleRestored, Unasked: o.unasked,
		OwnServers: o.Machines.Count,
	})
	o.Announcements, o.Invoices = o.services.announced, o.services.invoices
	o.Console = operator.New(operator.Config{
		IDs: o.IDs, Accounts: o.Accounts, Wallet: o.Wallet, Credits: o.Credits, Jobs: o.Jobs,
		Deployments: o.services.deployments, Volumes: o.services.volumes, Events: o.Events, Mail: o.Mail,
		Audit: o.Audit,
	})
	o.Adjustments = adjustment.New(adjustment.Config{
		DB: o.DB, IDs: o.IDs, Jobs: o.Jobs, Operator: o.Console, Settings: o.Settings,
	})
	o.SignUp = signup.New(signup.Config{
		DB: o.DB, Accounts: o.Accounts, Operator: o.Console, Settings: o.Settings, Credits: o.Credits, Mail: o.Mail,
		PublicURL: public, Altcha: altcha.New(altcha.Config{Rand: rand.Reader, Now: o.Clock.Now, Secrets: secrets}),
	})
	o.Setup = setup.New(setup.Config{
		DB: o.DB, Accounts: o.Accounts, Operator: o.Console, Clock: o.Clock, Rand: rand.Reader,
	})
	return o, nil
}

// mail is part of Operator because a command's changes cause mails, too. The server sends them.
func (o *Operator) mail(public *url.URL, log *slog.Logger) *mail.Service {
	m := mail.New(mail.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Log: log, Settings: o.Settings, Accounts: o.Accounts, Jobs: o.Jobs,
		Secrets: o.secrets, Chance: mathrand.Float64, PublicURL: public,
	})
	o.Events.OnEvents(m.EnqueueForEvents)
	return m
}

// webhooks is part of Operator because a command's changes are sent, too.
func (o *Operator) webhooks(c Config, log *slog.Logger, secrets *secret.Box, real clock.Clock) (*webhook.Service,
	error) {
	networks, err := parseNetworks(c.WebhookAllowNetworks)
	if err != nil {
		return nil, fmt.Errorf("--webhook-allow-networks: %w", err)
	}
	client := outbound.New(outbound.Config{Allow: networks, AllowHTTP: c.WebhookAllowHTTP})
	return webhook.New(webhook.Config{
		DB: o.DB, IDs: o.IDs, Clock: o.Clock, Real: real.Now, Log: log, Events: o.Events, Jobs: o.Jobs,
		Secrets: secrets,
		Check:   client.Check, Post: client.Post, Chance: mathrand.Float64,
	}), nil
}

// Close closes the database.
func (o *Operator) Close() error { return o.DB.Close() }

// CreateAccount creates an account with a wallet that contains the credit.
func (o *Operator) CreateAccount(ctx context.Context, name string, credit money.Micros) (a operator.Account,
	err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if a, err = o.Adjustments.Open(ctx, tx, name, credit, adjustment.Host); err != nil {
			return err
		}
		return o.record(ctx, tx, a.ID, "createAccount", a.ID)
	})
	return a, err
}

// CreateAccountWithOwner is CreateAccount that also invites the owner by email address. publicURL
// is where browsers reach the server.
func (o *Operator) CreateAccountWithOwner(
	ctx context.Context, name string, credit money.Micros, email, publicURL string,
) (a operator.Account, i operator.Invited, err error) {
	public, err := parsePublicURL(publicURL)
	if err != nil {
		return a, i, err
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if a, err = o.Adjustments.Open(ctx, tx, name, credit, adjustment.Host); err != nil {
			return err
		}
		if err := o.record(ctx, tx, a.ID, "createAccount", a.ID); err != nil {
			return err
		}
		link := func(token string) string { return public.String() + "/invite#" + token }
		i, err = o.Console.InviteOwner(ctx, tx, a.ID, email, link, true)
		return err
	})
	return a, i, err
}

// Credit adds money to a wallet, or asks for it if another operator must approve it. The same
// reference works once, despite retries, and is a CONFLICT with another amount, account or expiry;
// "" generates one.
func (o *Operator) Credit(ctx context.Context, q adjustment.Request) (did adjustment.Result, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if did, err = o.Adjustments.Adjust(ctx, tx, q, adjustment.Host); err != nil || !did.Made {
			return err // what is asked for is in the list of adjustments
		}
		return o.record(ctx, tx, q.Account, "creditAccount", q.Account)
	})
	return did, err
}

// WithdrawAdjustment withdraws an adjustment that was asked for on this host.
func (o *Operator) WithdrawAdjustment(ctx context.Context, of id.ID) (a adjustment.Adjustment, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		a, err = o.Adjustments.Withdraw(ctx, tx, of, adjustment.Host)
		return err
	})
	return a, err
}

// ChangeTopUp changes a top-up by the payments of the installation, and records the action in the
// account's audit log.
func (o *Operator) ChangeTopUp(
	ctx context.Context, action string, of id.ID,
	change func(ctx context.Context, tx *db.Tx) (account id.ID, err error),
) error {
	return o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		account, err := change(ctx, tx)
		if err != nil {
			return err
		}
		return o.record(ctx, tx, account, action, of)
	})
}

// CreatePromoCode creates a promo code. See promo.Service.Create.
func (o *Operator) CreatePromoCode(
	ctx context.Context, code string, set promo.Settings,
) (c promo.Code, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		c, err = o.PromoCodes.Create(ctx, tx, code, set)
		return err
	})
	return c, err
}

// EnablePromoCode enables or disables a promo code.
func (o *Operator) EnablePromoCode(ctx context.Context, of id.ID, enabled bool) (c promo.Code, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		c, err = o.PromoCodes.Update(ctx, tx, of, func(s *promo.Settings) { s.Enabled = enabled })
		return err
	})
	return c, err
}

// SetTrusted makes an account one that is offered what is for trusted tenants only, or one that is
// not.
func (o *Operator) SetTrusted(ctx context.Context, of id.ID, trusted bool) (a operator.Account, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if a, err = o.Console.SetTrusted(ctx, tx, of, trusted); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "setTrusted", of)
	})
	return a, err
}

// SetMarkup sets an account's own markup in basis points, or, with nil, the default ones.
func (o *Operator) SetMarkup(ctx context.Context, of id.ID, basisPoints *int64) (a operator.Account, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if a, err = o.Console.SetMarkup(ctx, tx, of, basisPoints); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "setMarkup", of)
	})
	return a, err
}

// ChangeSettings changes what an operator sets while the server runs.
func (o *Operator) ChangeSettings(ctx context.Context, c settings.Change) (s settings.Settings, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		before, err := o.Settings.Get(ctx, tx) // locks them
		if err != nil {
			return err
		}
		if s, err = o.Settings.UpdateOnHost(ctx, tx, c); err != nil {
			return err
		}
		return o.recordRaised(ctx, tx, before.Wallet.ApprovalAbove, s.Wallet.ApprovalAbove)
	})
	return s, err
}

// recordRaised records that more may be added by one operator alone, which no operator can do over
// the API. 0 is no limit.
func (o *Operator) recordRaised(ctx context.Context, tx *db.Tx, before, now money.Micros) error {
	if before == 0 || now != 0 && now <= before {
		return nil
	}
	detail := fmt.Sprintf("wallet.approvalAbove was raised from %s to %s on the server's host.", before, now)
	if now == 0 {
		detail = fmt.Sprintf("wallet.approvalAbove was %s, and was removed on the server's host.", before)
	}
	return o.recordForOperators(ctx, tx, "updateSettings", "", detail)
}

// SetLogo replaces the logo of the dashboard and of mails; nil removes it.
func (o *Operator) SetLogo(ctx context.Context, content []byte) (s settings.Settings, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if content == nil {
			s, err = o.Settings.RemoveLogo(ctx, tx)
		} else {
			s, err = o.Settings.SetLogo(ctx, tx, content)
		}
		return err
	})
	return s, err
}

// Suspend suspends an account and ends its deployments as asked. The account reads the reason.
func (o *Operator) Suspend(
	ctx context.Context, of id.ID, reason string, terminate operator.Termination,
) (a operator.Account, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var changed bool
		if a, changed, err = o.Console.Suspend(ctx, tx, of, reason, terminate); err != nil || !changed {
			return err
		}
		return o.record(ctx, tx, of, "suspendAccount", of)
	})
	return a, err
}

// Resume ends the suspension of an account.
func (o *Operator) Resume(ctx context.Context, of id.ID) (a operator.Account, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var changed bool
		if a, changed, err = o.Console.Resume(ctx, tx, of); err != nil || !changed {
			return err
		}
		return o.record(ctx, tx, of, "resumeAccount", of)
	})
	return a, err
}

// SetQuotas changes an account's own quotas, or with "" the installation's. change gets what they
// were.
func (o *Operator) SetQuotas(
	ctx context.Context, of id.ID, change func(*quota.Limits),
) (q operator.Quotas, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if of == "" {
			if q.Defaults, err = quota.Defaults(ctx, tx); err != nil {
				return err
			}
			change(&q.Defaults)
			return quota.SetDefaults(ctx, tx, q.Defaults)
		}
		if q, err = o.Console.Quotas(ctx, tx, of); err != nil {
			return err
		}
		change(&q.Limits)
		if q, err = o.Console.SetQuotas(ctx, tx, of, q.Limits); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "setQuotas", of)
	})
	return q, err
}

// TerminateDeployment ends a deployment of any account at once. Its tenant reads the reason.
func (o *Operator) TerminateDeployment(
	ctx context.Context,
	of id.ID,
	reason string,
) (d operator.Deployment, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var changed bool
		if d, changed, err = o.Console.TerminateDeployment(ctx, tx, of, reason); err != nil || !changed {
			return err
		}
		return o.record(ctx, tx, d.AccountID, "terminateAnyDeployment", of)
	})
	return d, err
}

// CreateKey creates an API key with spending limits. Its secret cannot be shown again.
func (o *Operator) CreateKey(ctx context.Context, of id.ID, r account.KeyRequest,
	spending spendlimit.SpendingLimits) (key account.Key, secret string, err error) {
	if err := apierr.Invalid(spending.Check("spendingLimits")).OrNil(); err != nil {
		return key, "", err
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := o.Accounts.Get(ctx, tx, of); err != nil {
			return err
		}
		r.ByOperator = true
		if key, secret, err = o.Accounts.CreateKey(ctx, tx, of, r); err != nil {
			return err
		}
		if err := spendlimit.Set(ctx, tx, key.ID, spending); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "createApiKey", key.ID)
	})
	return key, secret, err
}

// RevokeKey revokes an API key permanently.
func (o *Operator) RevokeKey(ctx context.Context, of, key id.ID) (k account.Key, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if k, err = o.Accounts.RevokeKey(ctx, tx, of, key); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "revokeApiKey", key)
	})
	return k, err
}

// AccountCredits returns a page of the credits of an account, newest first.
func (o *Operator) AccountCredits(ctx context.Context, of id.ID, p db.Page) (list []credit.Credit, err error) {
	err = o.DB.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := o.Accounts.Get(ctx, tx, of); err != nil {
			return err
		}
		list, _, err = o.Credits.List(ctx, tx, of, "", p)
		return err
	})
	return list, err
}

// Wallet is an account's money in the operator's list.
type Wallet struct {
	Account       id.ID        `json:"account"`
	Balance       money.Micros `json:"balance"`
	Held          money.Micros `json:"held"`
	Available     money.Micros `json:"available"`
	NegativeSince *time.Time   `json:"negativeSince"`
}

// Wallets returns a page of the wallets of all accounts, in the order of Accounts.List.
func (o *Operator) Wallets(ctx context.Context, p db.Page) ([]Wallet, error) {
	list, _, err := o.Accounts.List(ctx, o.DB, p)
	if err != nil {
		return nil, err
	}
	out := []Wallet{}
	for _, a := range list { // at most a hundred, for a command
		w, err := o.Wallet.Get(ctx, o.DB, a.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, Wallet{w.Account, w.Balance, w.Held, w.Available, w.NegativeSince})
	}
	return out, nil
}
