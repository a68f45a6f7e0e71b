package cloudinit_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/cloudinit"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// A cloud-config that is taken is one, and what is wrong with another is said in sentences that
// speak of YAML and not of Go.
func FuzzCloudInit(f *testing.F) {
	for _, s := range []string{
		"#cloud-config\npackages: [git]\n", "#cloud-config", "#cloud-config\n", "#cloud-config\r\na: 1\r\n",
		"#cloud-config-archive\n- a", "#cloud-configa: 1", "#!/bin/sh\n", "", "\ufeff#cloud-config\n",
		"#cloud-config\n- a", "#cloud-config\na", "#cloud-config\na: " +
			"1\na: 2", "#cloud-config\n1: a", "#cloud-config\n? " +
			"[a]\n: b", "#cloud-config\na: b: c", "#cloud-config\n\ta: 1", "#cloud-config\na: \x01",
		"#cloud-config\na: \xff", "#cloud-config\na: *b", "#cloud-config\na: " +
			"&a [*a]", "#cloud-config\n<<: 1", "#cloud-config\n<<: [a]", "#cloud-config\na: " +
			"!!int x", "#cloud-config\na: !!binary x", "#cloud-config\n---\n---\n",
		"#cloud-config\n" + strings.Repeat("[", 11_000), "#cloud-config\n" + strings.Repeat("a: &a [*a,*a]\n", 20),
		"#cloud-config\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c " +
			"[*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		problems := cloudinit.Check(text)
		if len(problems) == 0 {
			line, _, _ := strings.Cut(cloudinit.Trim(text), "\n")
			var content map[string]any
			if strings.TrimRight(line, " \t\r") != "#cloud-config" || len(text) > cloudinit.MaxBytes ||
				yaml.Unmarshal([]byte(text), &content) != nil {
				t.Errorf("%q is taken", text)
			}
			for name := range content {
				if strings.ContainsAny(name, " \n") {
					t.Errorf("%q is taken with the key %q", text, name)
				}
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range problems {
			m := p.String()
			if !strings.ContainsAny(m[len(m)-1:], ".?") || !utf8.ValidString(m) ||
				strings.ContainsFunc(m, unicode.IsControl) ||
				len(m) > 2000 {
				t.Errorf("%q: %q", text, m)
			}
			if p.Line > lines || (p.Line == 0) != (p.Column == 0) {
				t.Errorf("%q has %d lines: %q", text, lines, m)
			}
			for _, inner := range []string{"interface", "map[", "unmarshal", "yaml:", "string]", "runtime", "%!"} {
				if strings.Contains(m, inner) && !strings.Contains(text, inner) {
					t.Errorf("%q: %q", text, m)
				}
			}
		}
	})
}

// Each problem is named with its place in the text as it was given, and all of them at once.
func TestCheck(t *testing.T) {
	t.Parallel()
	const only = `; only a cloud-config is taken, which begins with the line "#cloud-config". `
	for text, want := range map[string][]string{
		"#cloud-config\npackages: [git]\nruncmd:\n- ls\n- [ls, -l]\nwrite_files:\n- {path: /a, permissions: " +
			"0600}\n": nil,
		"\n \n#cloud-config\nhostname: a\n":                                                                       nil,
		"#cloud-config\nssh_pwauth: no\npackage_update: yes":                                                      nil,
		"#cloud-config\nusers:\n- default\n- {name: ada, sudo: false, groups: [wheel], lock_passwd: yes}\n":       nil,
		"#cloud-config\nmounts:\n- [a, b, null, defaults, 0, 2]\napt:\n  sources: {a: {source: b}}":               nil,
		"#cloud-config\nwrite_files:\n- path: /a\n  source: {uri: 'https://example.com/a'}\n":                     nil,
		"#cloud-config\npower_state: {mode: reboot, condition: true}\nntp:\nca_certs: {trusted: [x]}\nlocale: no": nil,

		"#!/bin/sh\necho":                 {`is a script` + only + `Put its commands under runcmd.`},
		"\n#!/bin/sh\necho":               {`is a script` + only + `Put its commands under runcmd.`},
		"Content-Type: multipart/mixed;":  {`is a multipart message` + only + `Give its cloud-config part alone.`},
		"MIME-Version: 1.0\n":             {`is a multipart message` + only + `Give its cloud-config part alone.`},
		"## template: jinja\n#cloud-conf": {`is a Jinja template` + only + `Fill it in first.`},
		"#include\nhttps://example.com/":  {`is a list of addresses to include` + only + `Give what is there instead.`},
		"#cloud-config-archive\n- a":      {`is a cloud-config archive` + only + `Give one cloud-config instead.`},
		"I2Nsb3VkLWNvbmZpZwo=":            {`is encoded in base64` + only + `Give the text itself.`},
		"packages: [git]":                 {`must be a cloud-config, which begins with the line "#cloud-config".`},

		"#cloud-config\npackages:\n  - git\n bad\n": {"line 4, column 2: is not valid YAML: did not find " +
			"expected key."},
		"#cloud-config\na: b: c\n": {"line 2, column 5: is not valid YAML: mapping values are " +
			"not allowed in this context."},
		"#cloud-config\npackages: [a]\n---\nruncmd: [b]": {"line 3, column 1: a second YAML document begins here; " +
			"only one is taken."},
		"#cloud-config\n- a": {"line 2, column 1: must be a mapping of keys such as " +
			"packages and runcmd to values."},
		"#cloud-config\nhostname: a\x01b": {"line 2, column 12: has the control character U+0001; " +
			"remove it."},
		"#cloud-config\nhostname: a\nhostname: b": {"line 3, column 1: hostname is given twice."},
		"#cloud-config\n<<: {a: b}": {"line 2, column 1: merge keys (<<) are not taken; write " +
			"the keys out."},

		"#cloud-config\npackagez: [git]\nruncmd: 5\nhostname: 12\n": {
			"line 2, column 1: packagez is not a key of a cloud-config. Did you mean packages?",
			"line 3, column 9: runcmd must be a list, not 5 (whole number; quote it to make it a string).",
			"line 4, column 11: hostname must be a string, not 12 (whole number; quote it to make it a string).",
		},
		"#cloud-config\nwrite_files:\n- {path: a, permissions: 'rw'}\n- {contents: x}\n": {
			"line 4, column 4: write_files[1].contents is not a key of write_files[1]. Did you mean content?",
			"line 4, column 3: write_files[1].path is required.",
		},
		"#cloud-config\nwrite_files:\n- {path: a, permissions: 'rw'}\n- {path: /b, encoding: b64, content: '***'}\n": {
			"line 3, column 10: path must be absolute, such as /etc/motd.",
			"line 3, column 26: permissions must be an octal number in quotes, such as '0644'.",
			"line 4, column 38: content is not b64: it cannot be decoded from base64.",
		},
		"#cloud-config\nwrite_files:\n- {path: /b, encoding: zip}": {
			`line 3, column 24: write_files[0].encoding must be one of gz, gzip, gz+base64, gzip+base64, ` +
				`gz+b64, gzip+b64, b64, base64, text/plain, not "zip".`,
		},
		"#cloud-config\nruncmd:\n- {a: b}\n- []\n": {"line 3, column 3: runcmd[0] must be a string or a list, not a " +
			"mapping."},
		"#cloud-config\nruncmd:\n- []\n": {
			"line 3, column 3: runcmd has an empty list here; give the words of a command.",
		},
		"#cloud-config\npackage_update: \"yes\"": {
			`line 2, column 17: package_update must be true or false, not "yes".`,
		},
		"#cloud-config\npackages:\n": {"line 2, column 10: packages must be a list, not empty."},
	} {
		var got []string
		for _, p := range cloudinit.Check(text) {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Check(%q) (-want +got):\n%s", text, diff)
		}
	}
}
