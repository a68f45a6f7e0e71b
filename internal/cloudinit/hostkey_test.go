package cloudinit_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/cloudinit"
	"go.yaml.in/yaml/v3"
)

const private, public = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB\n-----END OPENSSH PRIVATE " +
	"KEY-----\n", "ssh-ed25519 AAAAC3"

func TestWithHostKey(t *testing.T) {
	for _, text := range []string{
		"", "#cloud-config", "#cloud-config\n", "#cloud-config\npackages: [git]", "#cloud-config\r\npackages: " +
			"[git]\r\n", "#cloud-config\nruncmd:\n- echo hi\n\n\n",
		"#cloud-config\n{packages: [git], runcmd: [a]}\n", "#cloud-config\nwrite_files:\n- path: /a\n  content: |+\n " +
			"   x\n\n\n", "#cloud-config\n# only a comment",
		"#cloud-config\nwrite_files:\n- path: /a\n  content: |\n    x\n", "#cloud-config\npackages: " +
			"[git]\n...\n", "#cloud-config\nhostname: ssh_keys\npackages: [ssh_keys]\n",
	} {
		got := cloudinit.WithHostKey(text, private, public)
		var before, after map[string]any
		if err := yaml.Unmarshal([]byte(text), &before); err != nil {
			t.Fatal(text, err)
		}
		if wrong := cloudinit.Check(got); wrong != nil {
			t.Errorf("%q became %q, which %v", text, got, wrong)
			continue
		}
		if err := yaml.Unmarshal([]byte(got), &after); err != nil {
			t.Errorf("%q became %q: %v", text, got, err)
			continue
		}
		if keys := after["ssh_keys"]; !reflect.DeepEqual(
			keys,
			map[string]any{"ed25519_private": private, "ed25519_public": public},
		) {
			t.Errorf("%q has the keys %v", text, keys)
		}
		if delete(after, "ssh_keys"); len(before)+len(after) > 0 && !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{"#cloud-config\nssh_keys: {rsa_private: x}\n", "#!/bin/sh\n", "#cloud-config\n- a"} {
		if got := cloudinit.WithHostKey(text, private, public); got != text || cloudinit.TakesHostKey(text) {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestHostKeyFiles(t *testing.T) {
	given := &cloudinit.Parts{
		Packages: []string{"git"},
		Files:    []cloudinit.PartFile{{Path: "/a"}},
		Commands: []string{"echo hi"},
	}
	for _, p := range []*cloudinit.Parts{nil, given} {
		got := p.AddHostKey(private, public)
		if f := got.Files[0]; f.Path != cloudinit.HostKeyPath || f.Content != private || f.Permissions != "0600" ||
			!strings.Contains(got.Files[2].Content, cloudinit.HostKeyPath) {
			t.Errorf("%+v", got)
		}
		if p != nil && (len(got.Files) != 4 || got.Files[3].Path != "/a" || got.Commands[1] != "echo hi" ||
			len(got.Packages) != 1) {
			t.Errorf("%+v lacks what was given: %+v", got, p)
		}
	}
	if len(given.Files) != 1 || len(given.Commands) != 1 {
		t.Errorf("the parts that were given changed: %+v", given)
	}
}
