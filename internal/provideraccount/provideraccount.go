package provideraccount

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"github.com/billetcloud/billet/internal/secret"
)

const (
	// MaxMarkup is the highest markup in basis points.
	MaxMarkup = 100_000
	// maxText is the most bytes of a base URL, a setting and a credential.
	maxText = 8 << 10
	// maxSettings is the most settings of an account.
	maxSettings = 32
)

// Kind is a kind of cloud that has an adapter.
type Kind struct {
	// Word names the kind, such as "voltage-park". It is the default slug of its accounts.
	Word string `json:"kind" doc:"Kind of the cloud."`
	// Name is the name of the cloud.
	Name string `json:"name" doc:"Name of the cloud."`
	// Settings describes the settings that an account may have beside its key, by name.
	Settings map[string]string `json:"settings" doc:"Descriptions of the settings of an account, by name."`
	// Open returns the provider of an account. It checks the settings, and makes no call.
	Open func(upstream.Account) (provider.Provider, error) `json:"-"`
}

// Provider is an account at an upstream cloud.
type Provider struct {
	Slug string `json:"slug"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	// BaseURL is the address of its API; "" for the cloud's own.
	BaseURL  string            `json:"baseUrl"`
	Settings map[string]string `json:"settings"`
	// Markup is what tenants pay above its prices, in basis points; nil for the server's default.
	Markup       *int64    `json:"markupBasisPoints"`
	CreatedAt    time.Time `json:"createdAt"`
	KeyChangedAt time.Time `json:"keyChangedAt"`
	// PausedAt is since when its offers are unavailable; nil if the account is not paused.
	PausedAt *time.Time `json:"pausedAt"`
	// DrainingAt is since when its offers are not listed, until the account is removed; nil if it
	// is not draining. An account is not paused and draining at once.
	DrainingAt *time.Time `json:"drainingAt"`
	// File is the file that has the account; empty for the database.
	File string `json:"file,omitempty"`

	credential string // as it is sent to the cloud
	sealed     string
}

// Errors about which account is meant.
var (
	// ErrTaken means that another account has the slug.
	ErrTaken = errors.New("the slug is taken")
	// ErrUnknown means that the database has no such account.
	ErrUnknown = errors.New("unknown provider account")
)

// Invalid says what is wrong with an account, for the operator and without its key.
type Invalid struct{ error }

// Unwrap returns the error itself.
func (e Invalid) Unwrap() error { return e.error }

// Exclude is the setting that excludes regions.
const Exclude = "exclude-regions"

// excluded parses the setting Exclude.
func (p Provider) excluded() (patterns []string, err error) {
	for _, pattern := range strings.Split(p.Settings[Exclude], ",") {
		pattern = strings.TrimSpace(pattern)
		plain := strings.TrimSuffix(pattern, "*")
		if pattern == "" && p.Settings[Exclude] == "" {
			continue
		}
		if !provider.ValidSlug(strings.TrimSuffix(plain, "-")) {
			return nil, fmt.Errorf("the setting %s has %.80q, which is no slug of a region; separate slugs with "+
				"commas, and end "+
				"the common beginning of several with *", Exclude, pattern)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// PrivateAddresses is the setting that allows machines to have addresses that are not on the
// Internet.
const PrivateAddresses = "private-addresses"

// Common describes the settings that accounts of every kind may have, by name.
var Common = map[string]string{
	Exclude: "Slugs of regions not to sell, separated by commas. A * at the end matches all that begin so, " +
		"such as hyperstack-*.",
	PrivateAddresses: "true to accept machines with loopback, private and other special addresses; false by default.",
}

// privateAddresses parses the setting PrivateAddresses.
func (p Provider) privateAddresses() (bool, error) {
	text, set := p.Settings[PrivateAddresses]
	if !set {
		return false, nil
	}
	allowed, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("the setting %s is %.40q; it must be true or false", PrivateAddresses, text)
	}
	return allowed, nil
}

// Service keeps the provider accounts.
type Service struct {
	secrets *secret.Box
	kinds   []Kind
}

// New returns a Service for accounts of those kinds. It panics without a box for secrets.
func New(secrets *secret.Box, kinds []Kind) *Service {
	if secrets == nil {
		panic("provideraccount: New needs a box for secrets")
	}
	return &Service{secrets, slices.Clone(kinds)}
}

// Kinds returns the kinds of clouds that have an adapter.
func (s *Service) Kinds() []Kind { return slices.Clone(s.kinds) }

func (s *Service) kind(word string) (Kind, error) {
	var words []string
	for _, k := range s.kinds {
		if k.Word == word {
			return k, nil
		}
		words = append(words, k.Word)
	}
	return Kind{}, fmt.Errorf("there is no kind %.80q; the kinds are: %s", word, strings.Join(words, ", "))
}

// Add stores an account and its credential. An empty Slug is that of the kind, an empty Name that
// of the cloud. The error names everything that is wrong.
func (s *Service) Add(ctx context.Context, tx *db.Tx, p Provider, credential string) (Provider, error) {
	p, err := s.complete(p, credential)
	if err != nil {
		return Provider{}, err
	}
	p.sealed = s.secrets.Seal(purpose(p.Slug), []byte(p.credential))
	p.CreatedAt, p.KeyChangedAt = tx.Now, tx.Now
	added, err := insert(ctx, tx, p)
	if err == nil && !added {
		err = fmt.Errorf("%w: a provider %s exists; choose another slug (--slug), or replace its API key",
			ErrTaken, p.Slug)
	}
	return p, err
}

func purpose(slug string) string { return "provider/" + slug }

// complete fills in the defaults, and checks the account. Its errors are Invalid.
func (s *Service) complete(p Provider, credential string) (Provider, error) {
	p, err := s.completed(p, credential)
	if err != nil {
		err = Invalid{err}
	}
	return p, err
}

func (s *Service) completed(p Provider, credential string) (Provider, error) {
	kind, err := s.kind(p.Kind)
	if err != nil {
		return p, err
	}
	if p.Slug == "" {
		p.Slug = kind.Word
	}
	if p.Name == "" {
		if p.Name = kind.Name; p.Slug != kind.Word {
			p.Name += " (" + p.Slug + ")"
		}
	}
	p.credential = strings.TrimSpace(credential)
	p.Settings = maps.Clone(p.Settings)
	if p.Settings == nil {
		p.Settings = map[string]string{}
	}
	if err := errors.Join(p.check(), p.checkSettings(kind)); err != nil {
		return p, err
	}
	_, err = kind.Open(p.account(Env{}))
	return p, err
}

// check returns everything that is wrong with the account, apart from its settings.
func (p Provider) check() error {
	var errs []error
	if !provider.ValidSlug(p.Slug) {
		errs = append(errs,
			fmt.Errorf("the slug %.80q must have lower-case letters, digits and inner hyphens, at most 64", p.Slug))
	}
	if p.credential == "" || len(p.credential) > maxText || strings.ContainsAny(p.credential, "\r\n\x00") {
		errs = append(errs, errors.New("the API key is missing, or is not one line of text"))
	}
	if !apierr.Printable(p.Name) {
		errs = append(errs, errors.New("the name has a control character or another hidden one"))
	}
	if len(p.Name) > 128 || len(p.BaseURL) > maxText || len(p.Settings) > maxSettings {
		errs = append(errs, errors.New("the name, the base URL or the settings are too long"))
	}
	errs = append(errs, checkBase(p.BaseURL))
	if p.Markup != nil {
		errs = append(errs, checkMarkup(*p.Markup))
	}
	return errors.Join(errs...)
}

func (p Provider) checkSettings(kind Kind) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
		_, own := kind.Settings[name]
		if _, common := Common[name]; !own && !common {
			has := append(slices.Sorted(maps.Keys(kind.Settings)), slices.Sorted(maps.Keys(Common))...)
			errs = append(errs, fmt.Errorf("%s has no setting %.80q; it has: %s", kind.Word, name,
				strings.Join(has, ", ")))
		} else if len(p.Settings[name]) > maxText {
			errs = append(errs, fmt.Errorf("the setting %s is too long", name))
		}
	}
	_, private := p.privateAddresses()
	_, excluded := p.excluded()
	return errors.Join(append(errs, private, excluded)...)
}

func checkMarkup(basisPoints int64) error {
	if basisPoints < 0 || basisPoints > MaxMarkup {
		return errors.New("the markup must be from 0 to 1000 percent")
	}
	return nil
}

// checkBase accepts https, and http on this machine.
func checkBase(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		(u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("the base URL must be like https://api.example.com/v1, without a user or a query")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("the base URL must begin with https://, because it carries the API key")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Local reports whether the provider's API is on this machine: a fake, or another Billet.
func (p Provider) Local() bool {
	u, err := url.Parse(p.BaseURL)
	return err == nil && loopback(u.Hostname())
}

// List returns the accounts of the database, by slug. Their credentials stay sealed.
func (s *Service) List(ctx context.Context, r db.Reader) ([]Provider, error) { return list(ctx, r) }

// ChangeKey replaces an account's credential.
func (s *Service) ChangeKey(ctx context.Context, tx *db.Tx, slug, credential string) (Provider, error) {
	p, err := s.GetToChange(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if p, err = s.complete(p, credential); err != nil {
		return p, err
	}
	p.sealed = s.secrets.Seal(purpose(slug), []byte(p.credential))
	p.KeyChangedAt = tx.Now
	return p, update(ctx, tx, p)
}

// ChangeMarkup sets what tenants pay above the provider's prices, in basis points; nil for the
// server's default.
func (s *Service) ChangeMarkup(ctx context.Context, tx *db.Tx, slug string, markup *int64) (Provider, error) {
	p, err := s.GetToChange(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if markup != nil {
		if err := checkMarkup(*markup); err != nil {
			return p, err
		}
	}
	p.Markup = markup
	return p, update(ctx, tx, p)
}

// Update changes an account: its name, its settings, its markup and, with a credential, that. Nil
// fields and an empty credential leave what there is.
type Update struct {
	Name     *string
	Settings map[string]string // replaces all of them
	// Markup is in basis points; ClearMarkup is the server's default.
	Markup      *int64
	ClearMarkup bool
	Credential  string
}

// Update changes an account, which keeps its kind and base URL. The error names everything that is
// wrong.
func (s *Service) Update(ctx context.Context, tx *db.Tx, slug string, u Update) (Provider, error) {
	p, err := s.GetToChange(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if p, err = s.with(p, u); err != nil {
		return p, err
	}
	if u.Credential != "" {
		p.sealed = s.secrets.Seal(purpose(slug), []byte(p.credential))
		p.KeyChangedAt = tx.Now
	}
	return p, update(ctx, tx, p)
}

// with is the account as it is after an update.
func (s *Service) with(p Provider, u Update) (Provider, error) {
	credential := u.Credential
	if credential == "" {
		opened, err := s.secrets.Open(purpose(p.Slug), p.sealed)
		if err != nil {
			return p, Invalid{fmt.Errorf("the API key of provider %s cannot be decrypted; set it again: %w",
				p.Slug, err)}
		}
		credential = string(opened)
	}
	if u.Name != nil {
		p.Name = *u.Name
	}
	if u.Settings != nil {
		p.Settings = u.Settings
	}
	if u.Markup != nil || u.ClearMarkup {
		p.Markup = u.Markup
	}
	return s.complete(p, credential)
}

// Use is what the provider of the account is used for.
func (p Provider) Use() provider.Use {
	switch {
	case p.PausedAt != nil:
		return provider.Paused
	case p.DrainingAt != nil:
		return provider.Draining
	default:
		return provider.Sells
	}
}

// SetUse pauses, drains or resumes an account. What runs there is still watched and ended. It
// reports whether that changed anything.
func (s *Service) SetUse(
	ctx context.Context, tx *db.Tx, slug string, use provider.Use,
) (p Provider, changed bool, err error) {
	if p, err = s.GetToChange(ctx, tx, slug); err != nil || p.Use() == use {
		return p, false, err
	}
	p.PausedAt, p.DrainingAt = nil, nil
	switch use {
	case provider.Paused:
		p.PausedAt = &tx.Now
	case provider.Draining:
		p.DrainingAt = &tx.Now
	}
	return p, true, update(ctx, tx, p)
}

// UnusedSince returns since when no new deployment can choose the provider; false if one can.
func (p Provider) UnusedSince() (time.Time, bool) {
	switch {
	case p.PausedAt != nil:
		return *p.PausedAt, true
	case p.DrainingAt != nil:
		return *p.DrainingAt, true
	default:
		return time.Time{}, false
	}
}

// Get returns one account of the database.
func (s *Service) Get(ctx context.Context, r db.Reader, slug string) (Provider, error) {
	return s.one(ctx, r, slug)
}

// Version changes with every change of an account in the database.
func (s *Service) Version(ctx context.Context, r db.Reader) (int64, error) {
	return readVersion(ctx, r)
}

// Remove deletes the account and its credential. The caller checks whether something still needs
// it.
func (s *Service) Remove(ctx context.Context, tx *db.Tx, slug string) error {
	if _, err := s.GetToChange(ctx, tx, slug); err != nil {
		return err
	}
	return remove(ctx, tx, slug)
}

// GetToChange returns an account that the transaction will change. Changes exclude each other: one
// reads what the other wrote.
func (s *Service) GetToChange(ctx context.Context, tx *db.Tx, slug string) (Provider, error) {
	if err := raiseVersion(ctx, tx); err != nil {
		return Provider{}, err
	}
	return s.one(ctx, tx, slug)
}

func (s *Service) one(ctx context.Context, r db.Reader, slug string) (Provider, error) {
	all, err := list(ctx, r)
	if err != nil {
		return Provider{}, err
	}
	for _, p := range all {
		if p.Slug == slug {
			return p, nil
		}
	}
	return Provider{}, fmt.Errorf(
		"%w: the database has no provider %.80q; `billetd provider list` lists those that it has",
		ErrUnknown,
		slug,
	)
}

// Sealed is the column with sealed texts.
var Sealed = []secret.Column{{Table: "provider_account", Column: "credential", Key: "slug", Purpose: purpose}}
