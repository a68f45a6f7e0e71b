package settings_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/settings"
)

func picture(width, height int) image.Image {
	p := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		p.Set(x, x%height, color.RGBA{R: uint8(x), G: 100, A: 255})
	}
	return p
}

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, picture(width, height)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func setLogo(t *testing.T, d *db.DB, s *settings.Service, content []byte) (out settings.Settings, err error) {
	t.Helper()
	err = d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		out, err = s.SetLogo(ctx, tx, content)
		return err
	})
	return out, err
}

func TestService_SetLogo(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		s := newService(t, d, &machine{now: c.Now()})
		if _, err := s.Logo(t.Context()); apierr.CodeOf(err) != apierr.NotFound {
			t.Errorf("without a logo: %v", err)
		}
		for round, content := range [][]byte{pngOf(t, 200, 50), pngOf(t, 64, 64)} {
			got, err := setLogo(t, d, s, content)
			if err != nil {
				t.Fatal(err)
			}
			logo := got.Branding.Logo
			if logo == nil || logo.MediaType != "image/png" || logo.URL != "/branding/logo?v="+logo.Version ||
				got.Version != int64(round+1) {
				t.Fatalf("round %d: %+v of version %d", round, logo, got.Version)
			}
			for range 2 { // the second one is from memory
				read, err := s.Logo(t.Context())
				if err != nil || !bytes.Equal(read.Content, content) || read.Version != logo.Version {
					t.Errorf("round %d: read %d bytes of version %s, %v", round, len(read.Content), read.Version, err)
				}
			}
		}
		if again, err := setLogo(t, d, s, pngOf(t, 64, 64)); err != nil || again.Version != 2 {
			t.Errorf("the same logo again: version %d, %v", again.Version, err)
		}
		removeLogo(t, d, s)
	})
}

// removeLogo changes the color, which keeps the logo, and then removes it.
func removeLogo(t *testing.T, d *db.DB, s *settings.Service) {
	t.Helper()
	changed, err := update(t, d, s, "branding.primaryColor=#1F6FEB")
	if err != nil || changed.Branding.PrimaryColor != "#1f6feb" || changed.Branding.Logo == nil {
		t.Errorf("a color keeps the logo: %+v, %v", changed.Branding, err)
	}
	for range 2 {
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := s.RemoveLogo(ctx, tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if now := current(t, s); now.Branding.Logo != nil || now.Version != 4 {
		t.Errorf("removed: %+v of version %d", now.Branding.Logo, now.Version)
	}
	if _, err := s.Logo(t.Context()); apierr.CodeOf(err) != apierr.NotFound {
		t.Errorf("after the removal: %v", err)
	}
}

func TestLogosThatAreRefused(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	var moving, photo bytes.Buffer
	if err := gif.Encode(&moving, picture(32, 32), nil); err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(&photo, picture(32, 32), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := setLogo(t, d, s, photo.Bytes()); err != nil {
		t.Errorf("a JPEG image: %v", err)
	}
	whole := pngOf(t, 300, 300)
	bomb := slices.Clone(whole) // says that it has 2³¹ pixels a side; the checksum of the header no longer fits
	copy(bomb[16:24], []byte{0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	for name, one := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":          {nil, "empty"},
		"an SVG image":     {[]byte("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), "SVG"},
		"XML":              {[]byte("\xef\xbb\xbf <?xml version='1.0'?><svg/>"), "SVG"},
		"a doctype":        {[]byte("<!DOCTYPE svg><svg onload='x()'/>"), "SVG"},
		"a far SVG tag":    {[]byte("<!--" + strings.Repeat("-", 1024-8) + "<svg>"), "SVG"},
		"one beyond 1 KiB": {[]byte("<!--" + strings.Repeat("-", 1024-7) + "<svg>"), "is not a readable image"},
		"a page":           {[]byte("<html><script>alert(1)</script></html>"), "is not a readable image"},
		"a GIF image":      {moving.Bytes(), "is not a readable image"},
		"half an image":    {whole[:len(whole)/2], "damaged"},
		"a huge file":      {make([]byte, settings.MaxLogo+1), "at most 262144"},
		"a bomb":           {bomb, "is not a readable image"},
		"a dot":            {pngOf(t, 1, 1), "1 × 1 pixels"},
		"a poster":         {pngOf(t, 1025, 20), "1025 × 20 pixels"},
		"a WebP beginning": {[]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0e\x00\x00\x00"), "is not a readable image"},
	} {
		_, err := setLogo(t, d, s, one.content)
		if got := fieldsOrNone(t, err); !slices.Equal(got, []string{"content"}) ||
			!strings.Contains(messages(err), one.want) {
			t.Errorf("%s: %v %v, want %q", name, got, err, one.want)
		}
	}
}

// messages returns what the refusal says of each field.
func messages(err error) string {
	var all []string
	if e, is := errors.AsType[*apierr.Error](err); is {
		for _, f := range e.Fields() {
			all = append(all, f.Message)
		}
	}
	return strings.Join(all, " ")
}

func fieldsOrNone(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	return fields(t, err)
}

func TestPrimaryColors(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	s := newService(t, d, &machine{now: dbtest.Start})
	for set, text := range map[string]string{
		"#1f6feb": "#ffffff", "#000000": "#ffffff", "#ffffff": "#171b1f", "#F4B042": "#171b1f", "": "",
	} {
		got, err := update(t, d, s, "branding.primaryColor="+set)
		if err != nil || got.Branding.TextColor() != text {
			t.Errorf("%q: text %q, %v; want %q", set, got.Branding.TextColor(), err, text)
		}
	}
	for set, want := range map[string]string{
		"red": "#1f6feb", "1f6feb": "#1f6feb", "#12345": "#1f6feb", "#12345g": "#1f6feb", "#+12345": "#1f6feb",
		"url(x)": "#1f6feb",
		// A gray between what white and near-black text can be read on.
		"#7c7c7c": "4.5:1",
	} {
		_, err := update(t, d, s, "branding.primaryColor="+set)
		if got := fieldsOrNone(t, err); !slices.Equal(got, []string{"branding.primaryColor"}) ||
			!strings.Contains(messages(err), want) {
			t.Errorf("%q: %v %v", set, got, err)
		}
	}
	_, err := update(t, d, s, "branding.primaryColor=#7c7c7c")
	_, after, _ := strings.Cut(messages(err), "The nearest color that passes is ")
	if _, err := update(t, d, s, "branding.primaryColor="+strings.TrimSuffix(after, ".")); err != nil {
		t.Errorf("the nearest color %q is refused: %v", after, err)
	}
}
