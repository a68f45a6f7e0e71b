package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/provider"
)

// Account is an account at an upstream cloud, as the operator has set it up.
type Account struct {
	// Slug is the provider's name in our API, Name its display name.
	Slug, Name string
	// BaseURL is where the API is; "" for the cloud's own.
	BaseURL string
	// Credential is the secret.
	Credential string
	// Settings are the adapter's own, by name: a team, a project.
	Settings map[string]string
	// Exclude are slugs of regions that are not sold; a final * matches any suffix.
	Exclude []string
	// PrivateAddresses allows machines whose addresses are not on the Internet.
	PrivateAddresses bool
	// Version is Billet's, for the User-Agent.
	Version string
	Log     *slog.Logger
	// Unknown is called for each response field that the adapter does not know. It may be nil.
	Unknown func(what string)
	// Now and Sleep belong to the clock the cloud runs on; nil means the system's.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

// Prepare returns the account with its defaults filled in. It fails where there is no credential,
// for which hint says where to get one, and where a setting is none of those known.
func (a Account) Prepare(hint string, known ...string) (Account, error) {
	for name := range a.Settings {
		if slices.Contains(known, name) {
			continue
		}
		if len(known) == 0 {
			return a, a.SettingError(name, errors.New("unknown; this provider has no settings"))
		}
		return a, a.SettingError(name, fmt.Errorf("unknown; use one of %s", strings.Join(known, ", ")))
	}
	if a.Credential == "" {
		return a, fmt.Errorf("provider %s: no API key is set; %s", a.Slug, hint)
	}
	return a.withDefaults(), nil
}

func (a Account) withDefaults() Account {
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Sleep == nil {
		a.Sleep = sleep
	}
	if a.Log == nil {
		a.Log = slog.New(slog.DiscardHandler)
	}
	return a
}

// SettingError returns the error of a setting, with the provider and the setting it is about.
func (a Account) SettingError(name string, reason error) error {
	return fmt.Errorf("provider %s: setting %s: %w", a.Slug, name, reason)
}

// IntSetting returns a setting that is a whole number from least to most, or fallback where it is
// not set.
func (a Account) IntSetting(name string, fallback, least, most int) (int, error) {
	text, set := a.Settings[name]
	if !set {
		return fallback, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < least || n > most {
		return 0, a.SettingError(name, fmt.Errorf("%.40q must be a whole number from %d to %d", text, least, most))
	}
	return n, nil
}

// Info returns the provider's Info with the fields of the account filled in.
func (a Account) Info(info provider.Info) provider.Info {
	info.Slug, info.Name, info.PrivateAddresses = a.Slug, a.Name, a.PrivateAddresses
	return info
}

// WithoutExcluded returns the offers without those of excluded regions.
func (a Account) WithoutExcluded(offers []provider.Offer) []provider.Offer {
	return slices.DeleteFunc(offers, func(o provider.Offer) bool {
		return slices.ContainsFunc(a.Exclude, func(pattern string) bool {
			if prefix, wildcard := strings.CutSuffix(pattern, "*"); wildcard {
				return strings.HasPrefix(o.Region, prefix)
			}
			return o.Region == pattern
		})
	})
}

// Bearer is Config.Authorize for clouds that take the credential as a bearer token.
func Bearer(h http.Header, credential string) { h.Set("Authorization", "Bearer "+credential) }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
