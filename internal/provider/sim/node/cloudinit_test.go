package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cloudConfigText = `#cloud-config
package_update: true
packages: [htop]
write_files:
  - path: /etc/app/app.conf
    content: |
      key = value
    permissions: '0640'
    owner: app:app
  - path: /root/binary
    encoding: b64
    content: aGVsbG8=
    permissions: 0755
  - path: /root/log
    content: one
  - path: /root/log
    content: two
    append: true
runcmd:
  - cd /root
  - echo "in $PWD" > where
  - [sh, -c, 'echo $0 > words', "it's a b"]
  - false
  - echo last; echo trouble >&2
`

func TestCheckCloudInit(t *testing.T) {
	good := []string{cloudConfigText, "#cloud-config\n", "#cloud-config\r\nruncmd: []\n", "#cloud-config\n# nothing\n"}
	for _, text := range good {
		if err := CheckCloudInit(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	bad := map[string]string{
		"":                                "must begin",
		"#!/bin/sh\necho hi\n":            "must begin",
		"runcmd: [ls]\n":                  "must begin",
		"#cloud-config\n- a\n- b\n":       "mapping",
		"#cloud-config\njust text\n":      "mapping",
		"#cloud-config\na: [1\n":          "YAML",
		"#cloud-config\na: 1\na: 2\n":     "YAML",
		"#cloud-config\nruncmd: ls\n":     "runcmd",
		"#cloud-config\nruncmd: [{a: b}]": "entry 1",
		"#cloud-config\nwrite_files: x":   "write_files",
		"#cloud-config\n" + strings.Repeat("#", cloudInitMost):                  "at most",
		"#cloud-config\nwrite_files: [{path: relative}]":                        "not absolute",
		"#cloud-config\nwrite_files: [{path: /x, encoding: gz}]":                "not supported",
		"#cloud-config\nwrite_files: [{path: /x, encoding: b64, content: '!'}]": "base64",
		"#cloud-config\nwrite_files: [{path: /x, permissions: rwx}]":            "octal",
		"#cloud-config\nwrite_files: [{path: /x, permissions: [1]}]":            "octal",
	}
	for text, want := range bad {
		if err := CheckCloudInit(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func TestApplyCloudInitOnce(t *testing.T) {
	root := t.TempDir()
	read := func(path string) string {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	// Only commands know nothing of the root they are applied below.
	text := strings.ReplaceAll(cloudConfigText, "cd /root", "cd root")
	for range 2 {
		if err := applyCloudInit(root, text); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"etc/app/app.conf": "key = value\n", "root/binary": "hello", "root/log": "onetwo",
		"root/where": "in " + filepath.Join(root, "root") + "\n", "root/words": "it's a b\n",
		"var/lib/cloud/instance/user-data.txt": text,
	} {
		if got := read(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]os.FileMode{"etc/app/app.conf": 0o640, "root/binary": 0o755} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	log := read(cloudInitLog)
	for _, want := range []string{"packages: not supported", "package_update: not supported", "owner is not supported", "last\n", "trouble\n"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("%q is not once in the log:\n%s", want, log)
		}
	}
}
