package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/app"
	"github.com/spf13/pflag"
)

// TestStandardEndpoint: what others have set for all programs of the machine keeps the server from
// nothing. What was meant for it is used, or refused when it opens (internal/app).
func TestStandardEndpoint(t *testing.T) {
	for _, c := range []struct {
		name, standard, own, want string
		warns                     bool
	}{
		{"none", "", "", "", false},
		{"the standard one", "https://collector.example.com/otlp", "", "https://collector.example.com/otlp", false},
		{"for gRPC", "localhost:4317", "", "", true},
		{"both", "http://localhost:4318", "http://localhost:4320", "http://localhost:4320", false},
		{
			"an unusable standard one and our own", "localhost:4317", "http://localhost:4320",
			"http://localhost:4320", false,
		},
		{"our own, unusable", "http://localhost:4318", "localhost:4317", "localhost:4317", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(standardEndpointName, c.standard)
			if c.own != "" {
				t.Setenv("BILLET_TRACES_ENDPOINT", c.own)
			}
			var log bytes.Buffer
			cfg := app.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}
			f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			observationFlags(f, &cfg)
			if err := fromEnvironment(f); err != nil {
				t.Fatal(err)
			}
			standardTraces(t.Context(), f, &cfg)
			if cfg.TracesEndpoint != c.want {
				t.Errorf("%q, want %q", cfg.TracesEndpoint, c.want)
			}
			if warned := strings.Contains(log.String(), standardEndpointName); warned != c.warns {
				t.Errorf("the log has: %s", log.String())
			}
		})
	}
}
