package app

import (
	"log/slog"
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
	bad.SimMachines = "paper"
	err := bad.check()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, flag := range []string{"--listen", "--metrics-listen", "--database-url", "--markup", "--trusted-proxies",
		"--past-due-grace", "--sim-machines"} {
		if !strings.Contains(err.Error(), flag) {
			t.Errorf("%s is not named in: %v", flag, err)
		}
	}
}

func TestConfigErrorsHidePasswords(t *testing.T) {
	for _, password := range []string{"QZ@XX#wQZ", "QZ/ZQ", "QZ?ZQ", "QZ#ZQ", "QZ%ZQ", "QZ[ZQ", "QZ ZQ"} {
		c := Default()
		c.Log = slog.New(slog.DiscardHandler)
		c.DatabaseURL, c.RedisURL, c.PublicURL = "postgres://u:"+password+"@h/d", "redis://u:"+password+"@h:6379/0",
			"https://u:"+password+"@h"
		err := c.check()
		if err == nil {
			t.Errorf("%q was taken", password)
			continue
		}
		for _, want := range []string{"--database-url", "--redis-url", "--public-url", "@ as %40"} {
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
