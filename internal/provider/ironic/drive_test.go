package ironic_test

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/ironic"
	"github.com/billetcloud/billet/internal/provider/ironic/ironictest"
	"github.com/billetcloud/billet/internal/provider/providertest"
	"github.com/billetcloud/billet/internal/provider/upstream"

	_ "modernc.org/sqlite"
)

// testConfigDrive reads the image of the config drive with isoinfo.
func testConfigDrive(t *testing.T, i *ironictest.Ironic, a *ironic.Adapter) {
	extra := terms("203.0.113.10/24")
	stated := extra["billet"].(map[string]any)
	stated["gateway"], stated["mac"], stated["dns"] = "203.0.113.1", "52:54:00:aa:00:01", []string{"9.9.9.9"}
	i.Enroll(t, "n1", class, extra)
	r := request(t)
	_, second := providertest.NewKey(t)
	r.AuthorizedKeys = append(r.AuthorizedKeys, second)
	r.CloudInit = "#cloud-config\npackages: [nvtop]\n"
	key, err := provider.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	r.HostKey = key
	providertest.Launch(t, a, r)
	i.Until(t, "installed", func() bool { return i.Node(t, "n1").State == "active" })
	image := filepath.Join(t.TempDir(), "drive.iso")
	if err := os.WriteFile(image, configDriveImage(t, i), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := exec.CommandContext(t.Context(), "isoinfo", "-R", "-i", image, "-x", path).Output()
		if err != nil {
			t.Fatalf("isoinfo, of the Debian package genisoimage: %v", err)
		}
		return string(text)
	}
	var meta struct {
		UUID, Hostname string
		Keys           map[string]string `json:"public_keys"`
	}
	if err := json.Unmarshal([]byte(read("/openstack/latest/meta_data.json")), &meta); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"0": upstream.BareKey(r.AuthorizedKeys[0]), "1": second}
	if meta.UUID != string(r.Reference) || meta.Hostname != upstream.Mark(r.Reference) ||
		!reflect.DeepEqual(meta.Keys, want) {
		t.Errorf("got the metadata %+v", meta)
	}
	user := read("/openstack/latest/user_data")
	if !strings.HasPrefix(user, r.CloudInit) || !strings.Contains(user, strings.Fields(key.Public)[1]) {
		t.Errorf("got the user data %s", user)
	}
	network := read("/openstack/latest/network_data.json")
	for _, part := range []string{
		`"203.0.113.10"`, `"255.255.255.0"`, `"203.0.113.1"`, `"52:54:00:aa:00:01"`, `"9.9.9.9"`, `"ipv4"`,
	} {
		if !strings.Contains(network, part) {
			t.Errorf("the network lacks %s: %s", part, network)
		}
	}
	end(t, i, a, r.Reference)
}

// configDriveImage returns what real servers get: the image that Ironic's library makes of the
// config drive that Ironic has stored. Its API does not show it.
func configDriveImage(t *testing.T, i *ironictest.Ironic) []byte {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+i.Database()+"?mode=ro&_pragma=busy_timeout(30000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	var info string
	if err := d.QueryRow("SELECT instance_info FROM nodes WHERE name = 'n1'").Scan(&info); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", `
import json, sys
from openstack.baremetal import configdrive
drive = json.load(sys.stdin)["configdrive"]
sys.stdout.write(configdrive.build(
    drive["meta_data"], user_data=drive["user_data"].encode(), network_data=drive["network_data"]))`)
	build.Stdin, build.Stderr = strings.NewReader(info), os.Stderr
	text, err := build.Output()
	if err != nil {
		t.Fatalf("build the config drive: %v", err)
	}
	packed, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	iso, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return iso
}
