package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigReportsEveryErrorAtOnce(t *testing.T) {
	good := Default()
	good.Log = slog.New(slog.DiscardHandler)
	if err := good.check(); err != nil {
		t.Fatalf("the default: %v", err)
	}
	bad := good
	bad.Listen, bad.MetricsListen, bad.DatabaseURL, bad.Markup, bad.TrustedProxies, bad.PastDueGrace = "8080",
		"0.0.0.0:9464", "mysql://x", "abc", "10.0.0.0/99", -1
	bad.SimMachines, bad.DatabasePool, bad.MetricsProfiling = "paper", 4, true
	bad.DatabaseReplicaURL = "postgres://a,b/billet"
	bad.TracesEndpoint, bad.TracesPercent = "localhost:4318", 101
	err := bad.check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"--listen", "--metrics-listen", "--database-url", "--markup", "--trusted-proxies",
		"--past-due-grace", "--sim-machines", "--database-pool", "--metrics-profiling",
		"--database-replica-url: the URL of a replica",
		"--traces-endpoint", "--traces-percent"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
}

func TestMetricsElsewhereNeedAToken(t *testing.T) {
	c := Default()
	c.Log = slog.New(slog.DiscardHandler)
	for _, listen := range []string{"0.0.0.0:9464", ":9464", "10.0.0.5:9464", "[::]:9464", "metrics.example:9464"} {
		c.MetricsListen, c.MetricsTokenFile = listen, ""
		if err := c.check(); err == nil || !strings.Contains(err.Error(), "--metrics-token-file") {
			t.Errorf("%s without a token: %v", listen, err)
		}
		c.MetricsTokenFile = "token"
		if err := c.check(); err != nil {
			t.Errorf("%s with a token: %v", listen, err)
		}
	}
	for _, text := range []string{"", "short", "two words of some length", strings.Repeat("x", 2000)} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if token, err := readMetricsToken(file); err == nil {
			t.Errorf("%q was taken: %q", text, token)
		}
	}
}

func TestReplicaNeedsPostgres(t *testing.T) {
	c := Default()
	c.Log, c.DatabaseReplicaURL = slog.New(slog.DiscardHandler), "postgres://billet@standby/billet"
	if err := c.check(); err == nil || !strings.Contains(err.Error(), "--database-replica-url needs --database-url") {
		t.Errorf("got %v", err)
	}
	if c.DatabaseURL = "postgres://billet@primary/billet"; c.check() != nil {
		t.Error(c.check())
	}
}

func TestConfigErrorsHidePasswords(t *testing.T) {
	for _, password := range []string{"QZ@XX#wQZ", "QZ/ZQ", "QZ?ZQ", "QZ#ZQ", "QZ%ZQ", "QZ[ZQ", "QZ ZQ"} {
		c := Default()
		c.Log = slog.New(slog.DiscardHandler)
		c.DatabaseURL, c.RedisURL, c.PublicURL = "postgres://u:"+password+"@h/d", "redis://u:"+password+"@h:6379/0",
			"https://u:"+password+"@h"
		c.DatabaseReplicaURL = c.DatabaseURL
		err := c.check()
		if err == nil {
			t.Errorf("%q was taken", password)
			continue
		}
		for _, want := range []string{"--database-url", "--database-replica-url", "--redis-url",
			"--public-url", "@ as %40"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: no %q in %v", password, want, err)
			}
		}
		for _, part := range []string{"QZ", "ZQ", "XX"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v", password, err)
			}
		}
	}
}

func TestMarkup(t *testing.T) {
	for text, want := range map[string]map[string]int64{
		"": {}, "10": {"": 1000}, "12.5": {"": 1250}, "voltage-park=12.25, 8": {"voltage-park": 1225, "": 800},
		"a=0": {"a": 0},
	} {
		got, err := parseMarkup(text)
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %v %v", text, got, err)
		}
		for slug, bp := range want {
			if got[slug] != bp {
				t.Errorf("%q: %s is %d, want %d", text, slug, got[slug], bp)
			}
		}
	}
	for _, text := range []string{"x", "-1", "1.234", "1001", "a=1,a=2", "1,2", "a=", "=", "1e3"} {
		if got, err := parseMarkup(text); err == nil {
			t.Errorf("%q was taken for %v", text, got)
		}
	}
}

func TestConfigOfTLS(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string // parts of the error; none for a good configuration
	}{
		"domains": {func(c *Config) { c.TLSDomain, c.HTTPListen = "gpu.example.com, www.example.com", ":80" }, nil},
		"files": {func(c *Config) {
			c.TLSCert, c.TLSKey, c.PublicURL = "cert.pem", "key.pem", "https://gpu.example.com"
		}, nil},
		"both": {func(c *Config) {
			c.TLSDomain, c.TLSCert, c.TLSKey = "gpu.example.com", "cert.pem", "key.pem"
		}, []string{"either --tls-domain or --tls-cert"}},
		"no key": {
			func(c *Config) { c.TLSCert = "cert.pem" },
			[]string{"used together", "needs --public-url"},
		},
		"no domain": {func(c *Config) { c.TLSDomain = " ," }, []string{"1 to 20 domains"}},
		"wildcard": {
			func(c *Config) { c.TLSDomain = "*.example.com" },
			[]string{`"*.example.com" is not a domain`},
		},
		"address": {
			func(c *Config) { c.TLSDomain = "192.0.2.1" },
			[]string{`"192.0.2.1" is not a domain`},
		},
		"local name": {func(c *Config) { c.TLSDomain = "gpu" }, []string{`"gpu" is not a domain`}},
		"plain public URL": {
			func(c *Config) { c.TLSDomain, c.PublicURL = "a.example.com", "http://a.example.com" },
			[]string{"must be an https URL"},
		},
		"another public": {
			func(c *Config) { c.TLSDomain, c.PublicURL = "a.example.com", "https://b.example.com" },
			[]string{"b.example.com must be one of"},
		},
		"redirect to what": {
			func(c *Config) { c.HTTPListen = ":80" },
			[]string{"--http-listen redirects to https"},
		},
		"redirect at where": {
			func(c *Config) { c.TLSDomain, c.HTTPListen = "a.example.com", "80" },
			[]string{"--http-listen:"},
		},
		"directory": {
			func(c *Config) { c.TLSDomain, c.TLSACMEDirectory = "a.example.com", "http://acme" },
			[]string{"--tls-acme-directory"},
		},
		"email": {
			func(c *Config) { c.TLSDomain, c.TLSEmail = "a.example.com", "nonsense" },
			[]string{"--tls-email"},
		},
	} {
		config := Default()
		config.Log = slog.New(slog.DiscardHandler)
		c.change(&config)
		err := config.check()
		if (err != nil) != (len(c.want) > 0) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", name, want, err)
			}
		}
	}
	c := Default()
	if c.TLSDomain = "GPU.example.com,www.example.com,gpu.example.com"; c.publicURL() != "https://gpu.example.com" ||
		len(c.tlsDomains()) != 2 {
		t.Errorf("public URL %s, domains %v", c.publicURL(), c.tlsDomains())
	}
}
