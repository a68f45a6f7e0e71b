package mail

import (
	"net/url"
	"testing"

	"github.com/billetcloud/billet/internal/settings"
)

// A logo keeps its proportions within the bounds, and a wide one stands for the name.
func TestLogoFitsIntoAMail(t *testing.T) {
	t.Parallel()
	public := &url.URL{Scheme: "https", Host: "gpu.example.com"}
	for _, c := range []struct {
		width, height         int64
		wantWidth, wantHeight int64
		only                  bool
	}{
		{64, 64, 32, 32, false},
		{16, 16, 32, 32, false},
		{100, 50, 64, 32, true},
		{99, 50, 63, 32, false},
		{480, 64, 240, 32, true},
		{960, 64, 240, 16, true},
		{1024, 16, 240, 3, true},
		{16, 1024, 1, 32, false},
	} {
		var s settings.Settings
		s.Branding.Logo = &settings.Logo{URL: "/branding/logo?v=1", Width: c.width, Height: c.height}
		p := page{}.branded(s, public)
		if p.LogoWidth != c.wantWidth || p.LogoHeight != c.wantHeight || p.LogoOnly != c.only ||
			p.Logo != "https://gpu.example.com/branding/logo?v=1" {
			t.Errorf("%d × %d: %+v, want %d × %d", c.width, c.height, p, c.wantWidth, c.wantHeight)
		}
		if p := (page{}).branded(s, nil); p.Logo != "" {
			t.Errorf("without an address the logo is %q", p.Logo)
		}
	}
}
