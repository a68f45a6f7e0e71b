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
	Machines provider.Provider
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

// Open opens the providers of the database, by slug, and then those of the file, in its order; ""
// for no file. An adapter of before whose account is the same is kept, with what it knows of the
// cloud's limits.
func (s *Service) Open(ctx context.Context, r db.Reader, file string, env Env, before ...Opened) ([]Opened, error) {
	all, err := list(ctx, r)
	if err != nil {
		return nil, err
	}
	for i := range all {
		credential, err := s.secrets.Open(purpose(all[i].Slug), all[i].sealed)
		if err != nil {
			return nil, Invalid{fmt.Errorf("the API key of provider %s cannot be decrypted; if the former secret key "+
				"is lost, set the API key again with `billetd provider key %s`: %w", all[i].Slug, all[i].Slug, err)}
		}
		all[i].credential = string(credential)
	}
	inFile, err := s.read(file)
	if err != nil {
		return nil, err
	}
	taken, out := map[string]bool{}, []Opened{}
	for _, p := range append(all, inFile...) {
		if taken[p.Slug] {
			return nil, fmt.Errorf("two providers have the slug %s; change one of them", p.Slug)
		}
		taken[p.Slug] = true
		kind, err := s.kind(p.Kind)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", p.Slug, err)
		}
		if i := slices.IndexFunc(before, func(o Opened) bool { return o.same(p) }); i >= 0 {
			out = append(out, Opened{p, before[i].Machines})
			continue
		}
		opened, err := kind.Open(p.account(env))
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", p.Slug, err)
		}
		out = append(out, Opened{p, opened})
	}
	return out, nil
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

// read returns the providers of a file. Their keys are in other files or in environment variables.
func (s *Service) read(file string) ([]Provider, error) {
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
