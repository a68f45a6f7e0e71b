package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/test/servertest"
)

// A cloud-config that cannot be carried out is refused by the dry run and the create alike, with
// every problem and its position, before money moves.
func TestCloudInitIsValidatedBeforeMoneyMoves(t *testing.T) {
	s := servertest.Start(t, "--sim")
	_, key := s.Key("5000", "--read-limit", "1000", "--write-limit", "1000", "--deploy-limit", "1000")
	user := newIdentity(t)
	body := func(text string, dry bool) map[string]any {
		return map[string]any{
			"offerId": "off_abc123", "name": "cloud", "operatingSystem": "Ubuntu 22.04",
			"ssh_public_key": user.public, "cloudInit": text, "dryRun": dry,
		}
	}
	for text, want := range map[string][]string{
		"#!/bin/sh\necho": {"is a script"},
		"#cloud-config\npackages:\n  - git\n bad\n": {"line 4, column 2: is " +
			"not valid YAML"},
		"#cloud-config\npackagez: [git]\nruncmd: 5\n": {"line 2, column 1: " +
			"packagez is not a key of a cloud-config. Did you mean packages?", "line 3, column 9: runcmd must be " +
			"a list"},
		"\n#cloud-config\nwrite_files:\n- path: /x\n  source: {uri: 'https://example.com'}": {"line 5, column 3: " +
			"source cannot be fetched"},
	} {
		for _, dry := range []bool{true, false} {
			a := s.Call(key, "POST", "/deployments", body(text, dry))
			fields := fmt.Sprint(a.Error)
			for _, part := range want {
				if a.Status != 400 || a.Code() != "INVALID_REQUEST" || !strings.Contains(fields, "cloudInit") ||
					!strings.Contains(fields, part) {
					t.Errorf("dryRun %v: %q: %d %s, want %q", dry, text, a.Status, fields, part)
				}
			}
		}
	}
	if w := s.Call(key, "GET", "/wallet", nil).Data; w["held"] != 0.0 {
		t.Errorf("%v is held", w["held"])
	}
	good := "\n\n#cloud-config\nhostname: cloud\nruncmd:\n- [touch, /root/here]\n"
	if a := s.Call(key, "POST", "/deployments", body(good, true)); a.Status != 200 {
		t.Fatalf("%d %v", a.Status, a.Error)
	}
	a := s.Call(key, "POST", "/deployments", body(good, false))
	if a.Status != 201 {
		t.Fatalf("%d %v", a.Status, a.Error)
	}
	d := s.Running(key, a.Data["id"].(string))
	if got := user.run(
		t, d,
		"timeout 60 sh -c 'until [ -e /var/lib/cloud/instance/boot-finished ]; do sleep 0.1; done' && ls /root/here",
	); strings.TrimSpace(got) != "/root/here" {
		t.Errorf("%q", got)
	}
}
