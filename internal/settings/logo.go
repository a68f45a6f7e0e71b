package settings

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	_ "image/jpeg" // decodes JPEG
	_ "image/png"  // decodes PNG
	"slices"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	_ "golang.org/x/image/webp" // decodes WebP
)

// Bounds of a logo.
const (
	// MaxLogo is the largest file of a logo, in bytes.
	MaxLogo = 256 << 10
	// maxLogoPixels and minLogoPixels bound the width and the height.
	maxLogoPixels, minLogoPixels = 1024, 16
)

// LogoPath is where the server has the logo.
const LogoPath = "/branding/logo"

// logoTypes are the media types of the accepted formats, by the name that package image gives them.
var logoTypes = map[string]string{"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

// Image is the file of a logo.
type Image struct {
	MediaType string
	Version   string
	Content   []byte
}

// inspect returns what is known of a logo, or INVALID_REQUEST. It decodes the whole image: a
// browser shows what it accepts, and scripts are in no format that it accepts.
func inspect(content []byte) (Logo, error) {
	refuse := func(wrong string) (Logo, error) {
		return Logo{}, apierr.Invalid([]apierr.FieldError{{Field: "content", Message: wrong}})
	}
	const formats = "Upload a PNG, JPEG or WebP image."
	switch {
	case len(content) == 0:
		return refuse("is empty. " + formats)
	case len(content) > MaxLogo:
		return refuse(
			fmt.Sprintf("has %d bytes; at most %d are allowed. Upload a smaller image.", len(content), MaxLogo),
		)
	case isSVG(content):
		return refuse("is an SVG image, which can contain scripts. " + formats)
	}
	head, format, err := image.DecodeConfig(bytes.NewReader(content))
	media := logoTypes[format]
	if err != nil || media == "" {
		return refuse("is not a readable image. " + formats)
	}
	if min(head.Width, head.Height) < minLogoPixels || max(head.Width, head.Height) > maxLogoPixels {
		return refuse(fmt.Sprintf("has %d × %d pixels; width and height must be from %d to %d. Upload another size.",
			head.Width, head.Height, minLogoPixels, maxLogoPixels))
	}
	if _, _, err := image.Decode(bytes.NewReader(content)); err != nil {
		return refuse("is a damaged image, or one with an animation. " + formats)
	}
	sum := sha256.Sum256(content)
	return Logo{
		MediaType: media, Width: int64(head.Width), Height: int64(head.Height), Version: hex.EncodeToString(sum[:8]),
	}, nil
}

// isSVG reports whether the file is XML or HTML. It only makes the message clearer: nothing but the
// accepted formats can be decoded.
func isSVG(content []byte) bool {
	head := bytes.ToLower(bytes.TrimLeft(content[:min(len(content), 1024)], "\xef\xbb\xbf \t\r\n"))
	return bytes.HasPrefix(head, []byte("<?xml")) || bytes.HasPrefix(head, []byte("<svg")) ||
		bytes.HasPrefix(head, []byte("<!")) && bytes.Contains(head, []byte("<svg"))
}

// SetLogo replaces the logo. It returns INVALID_REQUEST for a file that is no PNG, JPEG or WebP
// image within the bounds.
func (s *Service) SetLogo(ctx context.Context, tx *db.Tx, content []byte) (Settings, error) {
	logo, err := inspect(content)
	if err != nil {
		return Settings{}, err
	}
	return s.changeLogo(ctx, tx, &logo, content)
}

// RemoveLogo removes the logo; without one it changes nothing.
func (s *Service) RemoveLogo(ctx context.Context, tx *db.Tx) (Settings, error) {
	return s.changeLogo(ctx, tx, nil, nil)
}

func (s *Service) changeLogo(ctx context.Context, tx *db.Tx, logo *Logo, content []byte) (Settings, error) {
	now, err := s.Get(ctx, tx)
	if err != nil {
		return Settings{}, err
	}
	if before := now.Branding.Logo; before == nil && logo == nil ||
		before != nil && logo != nil && before.Version == logo.Version {
		return now, nil
	}
	now.Branding.Logo = logo
	now.Version, now.ChangedAt = now.Version+1, &tx.Now
	if err := putLogo(ctx, tx, logo, base64.StdEncoding.EncodeToString(content)); err != nil {
		return Settings{}, err
	}
	if err := write(ctx, tx, now); err != nil {
		return Settings{}, err
	}
	tx.AfterCommit(s.forget)
	return now.completed(), nil
}

// Logo returns the current logo from memory if it was read before, or NOT_FOUND. It must not be
// called inside a transaction.
func (s *Service) Logo(ctx context.Context) (Image, error) {
	now, err := s.Current(ctx)
	if err != nil {
		return Image{}, err
	}
	logo := now.Branding.Logo
	if logo == nil {
		return Image{}, errNoLogo
	}
	if kept := s.logo.Load(); kept != nil && kept.Version == logo.Version {
		return *kept, nil
	}
	stored, found, err := findLogo(ctx, s.cfg.DB)
	if err != nil {
		return Image{}, err
	}
	if !found { // it was removed a moment ago
		return Image{}, errNoLogo
	}
	content, err := base64.StdEncoding.DecodeString(stored.content)
	if err != nil {
		return Image{}, fmt.Errorf("settings: the logo cannot be read: %w", err)
	}
	s.logo.Store(&Image{MediaType: stored.mediaType, Version: stored.version, Content: slices.Clip(content)})
	return *s.logo.Load(), nil
}

var errNoLogo = apierr.New(apierr.NotFound, "There is no logo.")
