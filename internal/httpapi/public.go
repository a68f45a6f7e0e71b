package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/incident"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/settings"
	"github.com/billetcloud/billet/internal/signedhead"
)

// PublicBase is what anyone can read without signing in.
const PublicBase = "/api/v1/public"

// How long clients need not ask again.
const (
	// logoAge is that of an image whose URL has its version, anyLogoAge that of one without.
	logoAge, anyLogoAge = 365 * 24 * time.Hour, 5 * time.Minute
)

// public is what anyone can read without signing in.
type public struct {
	db            *db.DB
	clock         clock.Clock
	real          func() time.Time
	settings      *settings.Service
	catalog       *catalog.Catalog
	incidents     *incident.Service
	announcements *announcement.Service
	serves        func(context.Context) error
	signed        *signedhead.Service
	cache         *publicCache
}

func (h public) routes(r *rest.Router) {
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: PublicBase + "/site", ID: "getSite", Tag: tagPublic, Auth: rest.Public,
		Summary: "Get the site",
		Description: "Name, logo and links of this cloud, and which of its pages are public. The answer has an " +
			"ETag, and can be cached if it is checked again each time.",
	}, h.site)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: PublicBase + "/prices", ID: "getPublicPrices", Tag: tagPublic, Auth: rest.Public,
		Summary: "Get public prices",
		Description: "Current offers by GPU type, at the prices of an account without prices of its own. NOT_FOUND " +
			"unless the setting `publicPages.prices` is on. The answer can be cached for half a minute.",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.prices)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: PublicBase + "/status", ID: "getPublicStatus", Tag: tagPublic, Auth: rest.Public,
		Summary: "Get public status",
		Description: "State of this cloud and of its providers: how launches went in each region, and incidents. " +
			"NOT_FOUND unless the setting `publicPages.status` is on. The answer can be cached for 15 seconds.",
		Errors: []apierr.Code{apierr.NotFound},
	}, h.status)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: PublicBase + "/ledger", ID: "getPublicLedger", Tag: tagPublic, Auth: rest.Public,
		Summary: "Get the ledger's keys",
		Description: "The public keys that verify exported statements, and the newest signed statement. The " +
			"response can be cached for five minutes.",
	}, h.ledger)
	r.Dynamic(settings.LogoPath, h.logo)
}

// siteInfo is how this cloud presents itself.
type siteInfo struct {
	Name           string               `json:"name" doc:"Name of the cloud."`
	PrimaryColor   *string              `json:"primaryColor" doc:"Color of buttons and links, as #rrggbb; null for the built-in one."`
	TextColor      *string              `json:"textColor" doc:"Color of text on the primary color, as #rrggbb; null for the built-in one."`
	Logo           *siteLogo            `json:"logo" doc:"Logo; null for the built-in one."`
	SupportAddress *string              `json:"supportAddress" doc:"Email address for questions; null if there is none."`
	TermsURL       *string              `json:"termsUrl" doc:"URL of the terms of service; null if there are none."`
	PrivacyURL     *string              `json:"privacyUrl" doc:"URL of the privacy policy; null if there is none."`
	PublicPages    settings.PublicPages `json:"publicPages" doc:"Which pages are public."`
}

// siteLogo is the logo of the site.
type siteLogo struct {
	URL    string `json:"url" doc:"Path of the image on this server. It changes with the image."`
	Width  int64  `json:"width" doc:"Width in pixels."`
	Height int64  `json:"height" doc:"Height in pixels."`
}

func (h public) site(ctx context.Context, _ db.Reader, c *rest.Call, _ *rest.NoInput) (siteInfo, error) {
	now, err := h.settings.Current(ctx)
	if err != nil {
		return siteInfo{}, err
	}
	c.SetHeader("Cache-Control", "public, no-cache") // a change of the operator is seen at once
	out := siteInfo{
		Name: now.Installation.Name, PrimaryColor: orNull(now.Branding.PrimaryColor),
		TextColor: orNull(now.Branding.TextColor()), SupportAddress: orNull(now.Installation.SupportAddress),
		TermsURL: orNull(now.Installation.TermsURL), PrivacyURL: orNull(now.Installation.PrivacyURL),
		PublicPages: now.PublicPages,
	}
	if logo := now.Branding.Logo; logo != nil {
		out.Logo = &siteLogo{logo.URL, logo.Width, logo.Height}
	}
	return out, nil
}

// cacheFor lets everyone on the way keep the response for a time.
func cacheFor(c *rest.Call, d time.Duration) {
	c.SetHeader("Cache-Control", "public, max-age="+strconv.Itoa(int(d/time.Second)))
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (h public) logo(r *http.Request) (rest.Content, error) {
	logo, err := h.settings.Logo(r.Context())
	if err != nil {
		return rest.Content{}, err
	}
	age := anyLogoAge
	if r.URL.Query().Get("v") == logo.Version {
		age = logoAge
	}
	return rest.Content{Media: logo.MediaType, Version: logo.Version, Body: logo.Content, MaxAge: age}, nil
}
