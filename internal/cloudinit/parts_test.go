package cloudinit_test

import (
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*cloudinit.Parts{
		"": nil, "#cloud-config": nil, "#cloud-config\n# nothing\n": nil, "#cloud-config\r\n{}\r\n": nil,
		"#cloud-config\npackages: []\n":                      nil,
		"#cloud-config\npackages: [git, 7zip]":               {Packages: []string{"git", "7zip"}},
		"#cloud-config\nruncmd:\n- echo hi\n- |\n  a\n  b\n": {Commands: []string{"echo hi", "a\nb\n"}},
		"#cloud-config\nruncmd: [[ls, -l, it's]]":            {Commands: []string{`'ls' '-l' 'it'\''s'`}},
		"#cloud-config\nwrite_files: [{path: /a, content: x}]": {
			Files: []cloudinit.PartFile{{Path: "/a", Content: "x"}},
		},
		"#cloud-config\nwrite_files:\n- {path: /a, content: eA==, permissions: 0600, owner: 'root:root', " +
			"encoding: b64}\npackages: [a]": {
			Packages: []string{"a"},
			Files: []cloudinit.PartFile{
				{Path: "/a", Content: "eA==", Permissions: "0600", Owner: "root:root", Encoding: "b64"},
			},
		},
	} {
		got, problems := cloudinit.Split(text)
		if diff := cmp.Diff(want, got); diff != "" || problems != nil {
			t.Errorf("Split(%q) has the problems %v (-want +got):\n%s", text, problems, diff)
		}
	}
	for _, text := range []string{
		"#!/bin/sh\necho hi", "packages: [git]", "#cloud-config-archive\n- a", "#cloud-config\nusers: [x]",
		"#cloud-config\nwriteFiles: []", "#cloud-config\npackages: [[git, 1.0]]",
		"#cloud-config\npackages: {a: b}", "#cloud-config\nwrite_files: [{path: /a, append: " +
			"true}]", "#cloud-config\nwrite_files: [{content: x}]",
		"#cloud-config\n- a", "#cloud-config\n\t{", "#cloud-config\npackages: " +
			"[a]\n---\nruncmd: [b]", "#cloud-config\npackages: [a]\npackages: [b]",
	} {
		if parts, wrong := cloudinit.Split(text); parts != nil || len(wrong) == 0 ||
			!strings.ContainsAny(wrong[0].String(), ".?") {
			t.Errorf("Split(%q) = %+v, %v; want a problem in a sentence", text, parts, wrong)
		}
	}
}
