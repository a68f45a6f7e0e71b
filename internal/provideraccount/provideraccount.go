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
	// MaxMarkup is the greatest markup in basis points.
	MaxMarkup = 100_000
	// maxText bounds a name, a URL, a setting, a credential, in bytes.
	maxText = 8 << 10
	// maxSettings bounds how many there are.
	maxSettings = 32
)

// Kind is a sort of cloud that we have an adapter for.
type Kind struct {
	// Word is what an operator calls it: "voltage-park". It is the slug of its first account, too.
	Word string `json:"kind"`
	// Name is the cloud's.
	Name string `json:"name"`
	// Settings are what an account may have beside its key, by name, each with a sentence on it.
	Settings map[string]string `json:"settings"`
	// Open makes the provider of an account. It checks the settings, and asks nobody.
	Open func(upstream.Account) (provider.Provider, error) `json:"-"`
}

// Provider is an account at an upstream cloud.
type Provider struct {
	Slug string `json:"slug"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	// BaseURL is where its API is; "" for the cloud's own.
	BaseURL  string            `json:"baseUrl"`
	Settings map[string]string `json:"settings"`
	// Markup is what tenants pay above its prices, in basis points; nil for what the server is set to.
	Markup       *int64    `json:"markupBasisPoints"`
	CreatedAt    time.Time `json:"createdAt"`
	KeyChangedAt time.Time `json:"keyChangedAt"`
	// File is where it stands, where that is not the database.
	File string `json:"file,omitempty"`

	credential string // as it goes to the cloud
	sealed     string
}

// Exclude is the setting that leaves regions out.
const Exclude = "exclude-regions"

// excluded reads the setting.
func (p Provider) excluded() (patterns []string, err error) {
	for _, pattern := range strings.Split(p.Settings[Exclude], ",") {
		pattern = strings.TrimSpace(pattern)
		plain := strings.TrimSuffix(pattern, "*")
		if pattern == "" && p.Settings[Exclude] == "" {
			continue
		}
		if !provider.ValidSlug(strings.TrimSuffix(plain, "-")) {
			return nil, fmt.Errorf("the setting %s has %.80q, which is no region's slug; give slugs with commas, or the beginning of some and a *", Exclude, pattern)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

// PrivateAddresses is the setting that lets an account's machines have addresses that are not on the Internet.
const PrivateAddresses = "private-addresses"

// Common are the settings that accounts of every kind may have, each with a sentence on it.
var Common = map[string]string{
	Exclude:          "Slugs of regions that are not sold, with commas; hyperstack-* is all that begin so, such as a broker's sub-cloud.",
	PrivateAddresses: "true to let machines have loopback, private and other special addresses; without this they are refused.",
}

// privateAddresses reads the setting.
func (p Provider) privateAddresses() (bool, error) {
	text, set := p.Settings[PrivateAddresses]
	if !set {
		return false, nil
	}
	allowed, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("the setting %s is %.40q; make it true or false", PrivateAddresses, text)
	}
	return allowed, nil
}

// Service is the list of the providers.
type Service struct {
	secrets *secret.Box
	kinds   []Kind
}

// New returns a Book of providers of those kinds. It panics without a box for secrets.
func New(secrets *secret.Box, kinds []Kind) *Service {
	if secrets == nil {
		panic("supply: New needs a box for secrets")
	}
	return &Service{secrets, slices.Clone(kinds)}
}

// Kinds returns the clouds that there are adapters for.
func (b *Service) Kinds() []Kind { return slices.Clone(b.kinds) }

func (b *Service) kind(word string) (Kind, error) {
	var words []string
	for _, k := range b.kinds {
		if k.Word == word {
			return k, nil
		}
		words = append(words, k.Word)
	}
	return Kind{}, fmt.Errorf("there is no adapter for %.80q; there are: %s", word, strings.Join(words, ", "))
}

// Add writes down a provider and its credential. An empty Slug is that of the kind, an empty Name the cloud's. Every fault is told at once.
func (b *Service) Add(ctx context.Context, tx *db.Tx, p Provider, credential string) (Provider, error) {
	p, err := b.complete(p, credential)
	if err != nil {
		return Provider{}, err
	}
	p.sealed = b.secrets.Seal(purpose(p.Slug), []byte(p.credential))
	p.CreatedAt, p.KeyChangedAt = tx.Now, tx.Now
	added, err := insert(ctx, tx, p)
	if err == nil && !added {
		err = fmt.Errorf("there is a provider %s already; give the new one another --slug, or change its key with `billetd provider key`", p.Slug)
	}
	return p, err
}

func purpose(slug string) string { return "provider/" + slug }

// complete fills in what may be left out, and checks the rest.
func (b *Service) complete(p Provider, credential string) (Provider, error) {
	kind, err := b.kind(p.Kind)
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
	var errs []error
	if !provider.ValidSlug(p.Slug) {
		errs = append(errs, fmt.Errorf("%.80q is no slug: lower-case letters, digits and inner hyphens, at most 64", p.Slug))
	}
	if p.credential == "" || len(p.credential) > maxText || strings.ContainsAny(p.credential, "\r\n\x00") {
		errs = append(errs, errors.New("the API key is missing, or is not one line of text"))
	}
	if !apierr.Printable(p.Name) {
		errs = append(errs, errors.New("the name has a control character or another that people do not see"))
	}
	if len(p.Name) > 128 || len(p.BaseURL) > maxText || len(p.Settings) > maxSettings {
		errs = append(errs, errors.New("the name, the base URL or the settings are too long"))
	}
	if err := checkBase(p.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if p.Markup != nil && (*p.Markup < 0 || *p.Markup > MaxMarkup) {
		errs = append(errs, errors.New("the markup is not between 0 and 1000 per cent"))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
		_, own := kind.Settings[name]
		if _, common := Common[name]; !own && !common {
			has := append(slices.Sorted(maps.Keys(kind.Settings)), slices.Sorted(maps.Keys(Common))...)
			errs = append(errs, fmt.Errorf("%s has no setting %.80q; it has: %s", kind.Word, name, strings.Join(has, ", ")))
		} else if len(p.Settings[name]) > maxText {
			errs = append(errs, fmt.Errorf("the setting %s is too long", name))
		}
	}
	_, wrong := p.privateAddresses()
	_, also := p.excluded()
	if err := errors.Join(wrong, also); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return p, errors.Join(errs...)
	}
	_, err = kind.Open(p.account(World{}))
	return p, err
}

// checkBase takes https, and http where nobody else can listen.
func checkBase(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("the base URL must be like https://api.example.com/v1, without a user or a query")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("the base URL must begin with https://, or the API key could be read on its way")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Local tells whether the provider's API is on this machine: a fake, or another Billet.
func (p Provider) Local() bool {
	u, err := url.Parse(p.BaseURL)
	return err == nil && loopback(u.Hostname())
}

// List returns the providers of the database, by slug. Their credentials stay sealed.
func (b *Service) List(ctx context.Context, r db.Reader) ([]Provider, error) { return list(ctx, r) }

// ChangeKey replaces a provider's credential.
func (b *Service) ChangeKey(ctx context.Context, tx *db.Tx, slug, credential string) (Provider, error) {
	p, err := b.one(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if p, err = b.complete(p, credential); err != nil {
		return p, err
	}
	p.sealed = b.secrets.Seal(purpose(slug), []byte(p.credential))
	p.KeyChangedAt = tx.Now
	return p, update(ctx, tx, p)
}

// ChangeMarkup sets what tenants pay above the provider's prices, in basis points; nil for what the server is set to.
func (b *Service) ChangeMarkup(ctx context.Context, tx *db.Tx, slug string, markup *int64) (Provider, error) {
	p, err := b.one(ctx, tx, slug)
	if err != nil {
		return p, err
	}
	if markup != nil && (*markup < 0 || *markup > MaxMarkup) {
		return p, errors.New("the markup is not between 0 and 1000 per cent")
	}
	p.Markup = markup
	return p, update(ctx, tx, p)
}

// Remove forgets the provider and its credential. Whether something still needs it is for the caller to know.
func (b *Service) Remove(ctx context.Context, tx *db.Tx, slug string) error {
	if _, err := b.one(ctx, tx, slug); err != nil {
		return err
	}
	return remove(ctx, tx, slug)
}

func (b *Service) one(ctx context.Context, r db.Reader, slug string) (Provider, error) {
	all, err := list(ctx, r)
	if err != nil {
		return Provider{}, err
	}
	for _, p := range all {
		if p.Slug == slug {
			return p, nil
		}
	}
	return Provider{}, fmt.Errorf("there is no provider %.80q here; `billetd provider list` shows those that there are", slug)
}
