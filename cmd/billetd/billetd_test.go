package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/app"
)

func TestSimAdvance_rejectsNegativeDuration(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-5m"}, {"--", "-5m"}, {"-1h30m"}} {
		cmd := root()
		cmd.SetArgs(append([]string{"sim", "advance", "--data-dir", t.TempDir()}, args...))
		err := cmd.ExecuteContext(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the duration must be positive, not "+args[len(args)-1]) {
			t.Errorf("sim advance %v: got error %v", args, err)
		}
	}
	cmd := root()
	cmd.SetArgs([]string{"sim", "advance", "-x"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "unknown shorthand flag") {
		t.Errorf("sim advance -x: got error %v", err)
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"26m": "26m0s", "7d": "168h0m0s", "1h30m": "1h30m0s", "0s": "0s"} {
		if got, err := parseDuration(text); err != nil || got.String() != want {
			t.Errorf("parseDuration(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "x", "-3d", "400d", "-1s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %s, want an error", text, got)
		}
	}
}

func TestWelcome_passkeyNote(t *testing.T) {
	t.Parallel()
	for publicURL, want := range map[string]bool{"": true, "https://gpu.example.com": false} {
		var out bytes.Buffer
		demo := &app.Demo{Email: "demo@example.com", APIKey: "pk_live_x"}
		started := app.Started{URL: "http://127.0.0.1:8080", Demo: demo}
		welcome(&out, started, app.Config{PublicURL: publicURL})
		if got := strings.Contains(out.String(), "passkeys work at http://localhost"); got != want {
			t.Errorf("public URL %q: the passkey note is shown: %t, want %t\n%s", publicURL, got, want, out.String())
		}
		if !strings.Contains(out.String(), "BILLET_API_KEY=pk_live_x") {
			t.Errorf("public URL %q: no API key in\n%s", publicURL, out.String())
		}
	}
}
