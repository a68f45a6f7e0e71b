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
  - 'false'
  - echo last; echo trouble >&2
`

func TestCheckCloudInit(t *testing.T) {
	good := []string{cloudConfigText, "#cloud-config\n", "#cloud-config\r\nruncmd: []\n", "#cloud-config\n# nothing\n"}
	for _, text := range good {
		if wrong := CheckCloudInit(text); wrong != nil {
			t.Errorf("%q: %v", text, wrong)
		}
	}
	// What cloudinit refuses is its own test's matter; this machine fetches nothing either.
	bad := map[string]string{
		"#!/bin/sh\necho hi\n":         "is a script",
		"#cloud-config\nruncmd: ls\n":  "runcmd must be a list",
		"#cloud-config\npackagez: [a]": "Did you mean packages?",
		"#cloud-config\nwrite_files:\n- {path: /x}\n- path: /y\n  source: {uri: 'https://example.com'}": "line 5, " +
			"column 3: source cannot be fetched",
	}
	for text, want := range bad {
		if wrong := CheckCloudInit(text); len(wrong) != 1 || !strings.Contains(wrong[0].String(), want) {
			t.Errorf("%.60q: %v, want %q", text, wrong, want)
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
	for _, want := range []string{"packages: not supported", "package_update: not supported", "owner is not " +
		"supported", "last\n", "trouble\n"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("%q is not once in the log:\n%s", want, log)
		}
	}
}
