package provideraccount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"go.yaml.in/yaml/v3"
)

// Env has what an opened provider needs from the server.
type Env struct {
	Log     *slog.Logger
	Now     func() time.Time
	Version string
	// Unknown is called with fields of a cloud's answers that the adapter does not know; nil to
	// ignore them.
	Unknown func(what string)
}

// Opened is a provider account with the adapter that it opened.
type Opened struct {
	Provider
	// Machines is nil if the account cannot be opened.
	Machines provider.Provider
	// Err says why it cannot be opened, for the operator and without its key.
	Err error
}

func (p Provider) account(env Env) upstream.Account {
	excluded, _ := p.excluded()
	private, _ := p.privateAddresses() // an invalid value was refused when the account was added
	settings := maps.Clone(p.Settings)
	maps.DeleteFunc(settings, func(name, _ string) bool { _, common := Common[name]; return common })
	return upstream.Account{
		Slug: p.Slug, Name: p.Name, BaseURL: p.BaseURL, Credential: p.credential, Settings: settings,
		PrivateAddresses: private, Exclude: excluded, Version: env.Version, Log: env.Log, Now: env.Now,
		Unknown: env.Unknown,
	}
}

// Open opens the providers of the database, by slug, and then those of the file, in its order. An
// adapter of before whose account is the same is kept, with what it knows of the cloud's limits.
// One account that cannot be opened has an Err, and does not keep the others from being opened.
func (s *Service) Open(
	ctx context.Context, r db.Reader, inFile []Provider, env Env, before ...Opened,
) ([]Opened, error) {
	all, err := list(ctx, r)
	if err != nil {
		return nil, err
	}
	filed := map[string]bool{}
	for _, p := range inFile {
		filed[p.Slug] = true
	}
	stored, out := map[string]bool{}, []Opened{}
	for _, p := range all {
		stored[p.Slug] = true
		err := errTwice
		if !filed[p.Slug] {
			p.credential, err = s.unsealed(p)
		}
		out = append(out, s.open(p, err, env, before))
	}
	for _, p := range inFile {
		if !stored[p.Slug] { // else neither is used: the machines may be those of either
			out = append(out, s.open(p, nil, env, before))
		}
	}
	return out, nil
}

// errTwice is why neither of two accounts with the same slug is used.
var errTwice = errors.New("a provider of --providers-file has the same slug; change one of them")

// unsealed returns the credential of a stored account.
func (s *Service) unsealed(p Provider) (string, error) {
	credential, err := s.secrets.Open(purpose(p.Slug), p.sealed)
	if err != nil {
		err = Invalid{fmt.Errorf("the API key of provider %s cannot be decrypted; if the former secret key "+
			"is lost, set the API key again with `billetd provider key %s`: %w", p.Slug, p.Slug, err)}
	}
	return string(credential), err
}

// open opens one account, unless there is an error already.
func (s *Service) open(p Provider, err error, env Env, before []Opened) Opened {
	if err != nil {
		return Opened{Provider: p, Err: err}
	}
	if i := slices.IndexFunc(before, func(o Opened) bool { return o.Err == nil && o.same(p) }); i >= 0 {
		return Opened{Provider: p, Machines: before[i].Machines}
	}
	kind, err := s.kind(p.Kind)
	if err != nil {
		return Opened{Provider: p, Err: err}
	}
	opened, err := kind.Open(p.account(env))
	return Opened{Provider: p, Machines: opened, Err: err}
}

// same reports whether an adapter for the account would be the same.
func (o Opened) same(p Provider) bool {
	return o.Slug == p.Slug && o.Kind == p.Kind && o.Name == p.Name && o.BaseURL == p.BaseURL &&
		o.credential == p.credential && maps.Equal(o.Settings, p.Settings)
}

// Try opens the adapter of an account as it would be after an update, for a check before that is
// stored.
func (s *Service) Try(ctx context.Context, r db.Reader, slug string, u Update, env Env) (provider.Provider, error) {
	p, err := s.one(ctx, r, slug)
	if err != nil {
		return nil, err
	}
	if p, err = s.with(p, u); err != nil {
		return nil, err
	}
	kind, err := s.kind(p.Kind)
	if err != nil {
		return nil, err
	}
	return kind.Open(p.account(env))
}

// fileEntry is a provider in the file.
type fileEntry struct {
	Slug       string            `yaml:"slug"`
	Kind       string            `yaml:"kind"`
	Name       string            `yaml:"name"`
	BaseURL    string            `yaml:"baseUrl"`
	Settings   map[string]string `yaml:"settings"`
	APIKeyFile string            `yaml:"apiKeyFile"`
	APIKeyEnv  string            `yaml:"apiKeyEnv"`
	Markup     *string           `yaml:"markupPercent"`
}

// Read returns the providers of a file, none for "". Their keys are in other files or in
// environment variables.
func (s *Service) Read(file string) ([]Provider, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--providers-file: %w", err)
	}
	var content struct {
		Providers []fileEntry `yaml:"providers"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&content); err != nil {
		return nil, fmt.Errorf("--providers-file: %w", err)
	}
	var out []Provider
	var errs []error
	for i, entry := range content.Providers {
		p, err := s.entry(file, entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("--providers-file: provider %d (%s): %w", i+1, entry.Slug, err))
			continue
		}
		if slices.ContainsFunc(out, func(o Provider) bool { return o.Slug == p.Slug }) {
			errs = append(errs, fmt.Errorf("--providers-file: two providers have the slug %s; change one of them",
				p.Slug))
		}
		out = append(out, p)
	}
	return out, errors.Join(errs...)
}

func (s *Service) entry(file string, e fileEntry) (Provider, error) {
	p := Provider{Slug: e.Slug, Kind: e.Kind, Name: e.Name, BaseURL: e.BaseURL, Settings: e.Settings, File: file}
	var key string
	switch {
	case (e.APIKeyFile == "") == (e.APIKeyEnv == ""):
		return p, errors.New("set either apiKeyFile or apiKeyEnv: the providers file contains no keys")
	case e.APIKeyFile != "":
		path := e.APIKeyFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return p, err
		}
		key = string(text)
	default:
		if key = os.Getenv(e.APIKeyEnv); key == "" {
			return p, fmt.Errorf("the environment variable %s is empty", e.APIKeyEnv)
		}
	}
	if e.Markup != nil {
		bp, err := ParseMarkup(*e.Markup)
		if err != nil {
			return p, err
		}
		p.Markup = &bp
	}
	return s.complete(p, key)
}

// ParseMarkup parses a percentage, such as "12.5", and returns basis points.
func ParseMarkup(percent string) (int64, error) {
	m, err := money.Parse(percent) // a decimal like any other: a basis point is 10,000 millionths
	if err != nil || m%10_000 != 0 || m < 0 || m/10_000 > MaxMarkup {
		return 0, fmt.Errorf("the markup %.40q must be a percentage from 0 to 1000 with at most two decimals", percent)
	}
	return int64(m / 10_000), nil
}
