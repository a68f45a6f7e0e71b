package version

import (
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"testing"
)

const commit = "06f880fc466e773c399d551c95b5c32f182a82dd"

func record(version string, settings ...string) *debug.BuildInfo {
	b := &debug.BuildInfo{Main: debug.Module{Version: version}}
	for i := 0; i < len(settings); i += 2 {
		b.Settings = append(b.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
	}
	return b
}

func TestVersionOfEveryKindOfBuild(t *testing.T) {
	system := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	for name, c := range map[string]struct {
		build *debug.BuildInfo
		want  Info
		text  string
	}{
		"a release": {
			record("v0.1.0", "vcs.revision", commit, "vcs.time", "2026-11-24T01:33:29Z", "vcs.modified", "false"),
			Info{Version: "v0.1.0", Commit: commit, Date: "2026-11-24T01:33:29Z"},
			"v0.1.0 (commit 06f880f, 2026-11-24, " + system,
		},
		"a checkout with changes": {
			record("v0.1.1-0.20261124013329-06f880fc466e+dirty", "vcs.revision", commit, "vcs.time",
				"2026-11-24T01:33:29Z", "vcs.modified", "true"),
			Info{Version: "v0.1.1-0.20261124013329-06f880fc466e+dirty", Commit: commit, Date: "2026-11-24T01:33:29Z",
				Modified: true},
			"v0.1.1-0.20261124013329-06f880fc466e+dirty (commit 06f880f, 2026-11-24, modified, " + system,
		},
		"installed at a tag": {record("v0.1.0"), Info{Version: "v0.1.0"}, "v0.1.0 (" + system},
		"installed at a commit": {
			record("v0.0.0-20261124013329-06f880fc466e"),
			Info{Version: "v0.0.0-20261124013329-06f880fc466e", Commit: "06f880fc466e", Date: "2026-11-24T01:33:29Z"},
			"v0.0.0-20261124013329-06f880fc466e (commit 06f880f, 2026-11-24, " + system,
		},
		"a pre-release is no commit": {record("v1.0.0-rc.20261124"), Info{Version: "v1.0.0-rc.20261124"},
			"v1.0.0-rc.20261124 (" + system},
		"unpacked from an archive": {record("(devel)"), Info{Version: "dev"}, "dev (" + system},
		"no record":                {nil, Info{Version: "dev"}, "dev (" + system},
	} {
		t.Run(name, func(t *testing.T) {
			got := of(c.build)
			c.want.Go, c.want.OS, c.want.Arch = runtime.Version(), runtime.GOOS, runtime.GOARCH
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if got.String() != c.text {
				t.Errorf("%q, want %q", got, c.text)
			}
		})
	}
}

func TestBothFormats(t *testing.T) {
	i := Get()
	if i.Version == "" || i.Go != runtime.Version() {
		t.Errorf("%+v", i)
	}
	var text, js bytes.Buffer
	if err := i.Write(&text, "billet", "text"); err != nil || text.String() != "billet "+i.String()+"\n" {
		t.Errorf("%q, %v", text.String(), err)
	}
	if err := i.Write(&js, "billet", "json"); err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(js.Bytes(), &fields); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"version", "commit", "date", "go", "os", "arch", "modified"} {
		if _, is := fields[key]; !is {
			t.Errorf("%s has no %q", js.String(), key)
		}
	}
	if len(fields) != 7 {
		t.Errorf("%d fields in %s", len(fields), js.String())
	}
	if err := i.Write(&js, "billet", "yaml"); err == nil {
		t.Error("a format that there is not was taken")
	}
}
