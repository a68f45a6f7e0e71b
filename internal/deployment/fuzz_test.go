package deployment

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A cloud-config that is taken is one, and whatever is wrong with another is told in one sentence that speaks of YAML and not of Go.
func FuzzCloudInit(f *testing.F) {
	for _, s := range []string{
		"#cloud-config\npackages: [git]\n", "#cloud-config", "#cloud-config\n", "#cloud-config\r\na: 1\r\n", "#cloud-config-archive\n- a", "#cloud-configa: 1", "#!/bin/sh\n", "", "\ufeff#cloud-config\n",
		"#cloud-config\n- a", "#cloud-config\na", "#cloud-config\na: 1\na: 2", "#cloud-config\n1: a", "#cloud-config\n? [a]\n: b", "#cloud-config\na: b: c", "#cloud-config\n\ta: 1", "#cloud-config\na: \x01",
		"#cloud-config\na: \xff", "#cloud-config\na: *b", "#cloud-config\na: &a [*a]", "#cloud-config\n<<: 1", "#cloud-config\n<<: [a]", "#cloud-config\na: !!int x", "#cloud-config\na: !!binary x", "#cloud-config\n---\n---\n",
		"#cloud-config\n" + strings.Repeat("[", 11_000), "#cloud-config\n" + strings.Repeat("a: &a [*a,*a]\n", 20), "#cloud-config\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := &faults{}
		checkCloudInit(found, text)
		if len(found.fields) == 0 {
			line, _, _ := strings.Cut(text, "\n")
			var m map[string]any
			if strings.TrimRight(line, " \t\r") != "#cloud-config" || strings.ContainsRune(text, 0) || len(text) > MaxCloudInitBytes || yaml.Unmarshal([]byte(text), &m) != nil {
				t.Errorf("%q is taken", text)
			}
			return
		}
		m := found.fields[0].Message
		if len(found.fields) != 1 || found.fields[0].Field != "cloudInit" || !strings.HasSuffix(m, ".") || !utf8.ValidString(m) || strings.ContainsFunc(m, unicode.IsControl) {
			t.Errorf("%q: %q", text, found.fields)
		}
		for _, inner := range []string{"interface", "map[", "unmarshal", "yaml:", "string]", "Go", "runtime", "%!"} {
			if strings.Contains(m, inner) && !strings.Contains(text, inner) {
				t.Errorf("%q: %q", text, m)
			}
		}
	})
}

// Tags that are taken are all different and good, and of others every one that is not is named.
func FuzzTags(f *testing.F) {
	f.Add("a,b,c")
	f.Add("a,a,,a\x00, b")
	f.Add(strings.Repeat("x,", 30))
	f.Fuzz(func(t *testing.T, list string) {
		tags := strings.Split(list, ",")
		found := &faults{}
		out := checkTags(found, tags)
		named := map[string]bool{}
		for _, x := range found.fields {
			named[x.Field] = true
		}
		if len(tags) > MaxTags {
			if !named["tags"] || out != nil {
				t.Errorf("%q: %v", tags, found.fields)
			}
			return
		}
		seen := map[string]bool{}
		for i, tag := range tags {
			alone := &faults{}
			checkTags(alone, []string{tag})
			if bad := seen[tag] || len(alone.fields) > 0; bad != named["tags["+strconv.Itoa(i)+"]"] {
				t.Errorf("%q: tag %d, faulty %t: %v", tags, i, bad, found.fields)
			}
			seen[tag] = true
		}
	})
}
