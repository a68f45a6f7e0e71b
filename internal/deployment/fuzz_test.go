package deployment

import (
	"strconv"
	"strings"
	"testing"
)

// Tags that are taken are all different and good, and of others every one that is not is named.
func FuzzTags(f *testing.F) {
	f.Add("a,b,c")
	f.Add("a,a,,a\x00, b")
	f.Add(strings.Repeat("x,", 30))
	f.Fuzz(func(t *testing.T, list string) {
		tags := strings.Split(list, ",")
		found := &fieldErrors{}
		out := checkTags(found, tags)
		named := map[string]bool{}
		for _, x := range found.invalid {
			named[x.Field] = true
		}
		if len(tags) > MaxTags {
			if !named["tags"] || out != nil {
				t.Errorf("%q: %v", tags, found.invalid)
			}
			return
		}
		seen := map[string]bool{}
		for i, tag := range tags {
			alone := &fieldErrors{}
			checkTags(alone, []string{tag})
			if bad := seen[tag] || len(alone.invalid) > 0; bad != named["tags["+strconv.Itoa(i)+"]"] {
				t.Errorf("%q: tag %d, faulty %t: %v", tags, i, bad, found.invalid)
			}
			seen[tag] = true
		}
	})
}
