package ironictest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	// python is the interpreter that has Debian's packages.
	python = "/usr/bin/python3"
	// User and Password are those of HTTP basic authentication.
	User, Password = "billet", "secret"
	apiVersion     = "1.61"
	limit          = 5 * time.Minute
)

// Ironic is a running Ironic.
type Ironic struct {
	// URL is that of the API, without /v1.
	URL string

	dir      string
	password string
	process  *exec.Cmd
	ended    chan struct{}
}

// Config changes how Ironic works.
type Config struct {
	// DeployDelay is how long each of the two parts of an installation takes.
	DeployDelay time.Duration
}

// Start starts an Ironic that ends with the test. It skips the test where Ironic is not installed.
func Start(t testing.TB, c Config) *Ironic {
	t.Helper()
	if err := exec.CommandContext(t.Context(), python, "-c", "import ironic.cmd.singleprocess").Run(); err != nil {
		if os.Getenv("BILLET_TEST_REQUIRE_IRONIC") != "" {
			t.Fatalf("the Debian package python3-ironic is required: %v", err)
		}
		t.Skip("SKIPPED: install the Debian package python3-ironic to test against a real Ironic")
	}
	dir, err := os.MkdirTemp(os.Getenv("BILLET_TEST_MEMORY"), "ironic") // t.TempDir is too long a path for some
	if err != nil {
		t.Fatal(err)
	}
	i := &Ironic{dir: dir}
	t.Cleanup(func() {
		i.stop(t, syscall.SIGTERM)
		_ = os.RemoveAll(dir)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint // the port is free afterwards
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	i.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	i.SetPassword(t, Password)
	config := strings.NewReplacer("$DIR", dir, "$PORT", fmt.Sprint(port),
		"$DELAY", fmt.Sprint(int(c.DeployDelay/time.Second))).Replace(configuration)
	if err := os.WriteFile(i.file("ironic.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"http/redfish", "tftp/master", "images/master"} { // Ironic makes none
		if err := os.MkdirAll(i.file(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	schema := i.command("ironic.cmd.dbsync", "create_schema")
	if text, err := schema.CombinedOutput(); err != nil {
		t.Fatalf("create Ironic's database: %v\n%s", err, text)
	}
	i.run(t)
	return i
}

func (i *Ironic) file(name string) string { return filepath.Join(i.dir, name) }

// command runs the main function of one of Ironic's modules.
func (i *Ironic) command(module string, arguments ...string) *exec.Cmd {
	code := "import sys; from " + module + " import main; sys.exit(main())"
	return exec.Command(python, append([]string{"-c", code, "--config-file", i.file("ironic.conf")}, arguments...)...)
}

// run starts the process, and waits until it has its drivers: the port opens earlier.
func (i *Ironic) run(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(i.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	i.process = i.command("ironic.cmd.singleprocess")
	i.process.Stdout, i.process.Stderr = log, log
	i.process.SysProcAttr = attributes()
	if err := i.process.Start(); err != nil {
		t.Fatal(err)
	}
	process, ended := i.process, make(chan struct{})
	i.ended = ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	var drivers struct{ Drivers []struct{ Name string } }
	i.Until(t, "Ironic is ready", func() bool {
		select {
		case <-ended:
			text, _ := os.ReadFile(i.file("log"))
			t.Fatalf("Ironic ended:\n%s", text[max(0, len(text)-4000):])
		default:
		}
		return i.try(http.MethodGet, "/v1/drivers", nil, &drivers) == nil && len(drivers.Drivers) > 0
	})
}

// stop ends the process and what it has started.
func (i *Ironic) stop(t testing.TB, signal syscall.Signal) {
	if i.process == nil {
		return
	}
	_ = syscall.Kill(-i.process.Process.Pid, signal)
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	select {
	case <-i.ended:
	case <-limit.C:
		_ = syscall.Kill(-i.process.Process.Pid, syscall.SIGKILL)
		<-i.ended
		t.Log("Ironic had to be killed")
	}
	i.process = nil
}

// Database is the path of its SQLite file.
func (i *Ironic) Database() string { return i.file("ironic.sqlite") }

// Crash kills Ironic at once, and starts it again.
func (i *Ironic) Crash(t testing.TB) {
	t.Helper()
	i.stop(t, syscall.SIGKILL)
	i.run(t)
}

// SetPassword changes the password that the API accepts, at once.
func (i *Ironic) SetPassword(t testing.TB, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	i.password = password
	// Ironic's library knows the older names of the same algorithm only.
	line := User + ":" + strings.Replace(string(hash), "$2a$", "$2b$", 1) + "\n"
	if err := os.WriteFile(i.file("htpasswd"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Until polls Ironic, which is another process, until check returns true.
func (i *Ironic) Until(t testing.TB, what string, check func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond) // more often would slow down what is waited for
	defer tick.Stop()
	for !check() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("after %s: not yet: %s", limit, what)
		}
	}
}

// Call sends a request as the operator does, again while a node is locked.
func (i *Ironic) Call(t testing.TB, method, path string, body, into any) {
	t.Helper()
	i.Until(t, method+" "+path, func() bool {
		err := i.try(method, path, body, into)
		if err != nil && !errors.Is(err, errLocked) {
			t.Fatal(err)
		}
		return err == nil
	})
}

var errLocked = errors.New("locked")

func (i *Ironic) try(method, path string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		content = nil
	}
	r, err := http.NewRequest(method, i.URL+path, bytes.NewReader(content)) //nolint // ends with the process
	if err != nil {
		return err
	}
	r.SetBasicAuth(User, i.password)
	r.Header.Set("X-OpenStack-Ironic-API-Version", apiVersion)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode == http.StatusConflict:
		return errLocked
	case response.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}

// nodeFields are the fields of Node. A list of all that Ironic knows is slow, and polled.
const nodeFields = "uuid,name,provision_state,target_provision_state,power_state,target_power_state,reservation," +
	"maintenance,instance_uuid,last_error,instance_info"

// Node is a server as Ironic shows it.
type Node struct {
	UUID        string
	Name        string
	State       string  `json:"provision_state"`
	Target      *string `json:"target_provision_state"`
	Power       *string `json:"power_state"`
	TargetPower *string `json:"target_power_state"`
	Reservation *string `json:"reservation"`
	Maintenance bool
	Allocation  *string        `json:"instance_uuid"`
	LastError   string         `json:"last_error"`
	Info        map[string]any `json:"instance_info"`
}

// Node returns a node by its name or uuid.
func (i *Ironic) Node(t testing.TB, name string) Node {
	t.Helper()
	var n Node
	i.Call(t, http.MethodGet, "/v1/nodes/"+name+"?fields="+nodeFields, nil, &n)
	return n
}

// Nodes returns all nodes.
func (i *Ironic) Nodes(t testing.TB) []Node {
	t.Helper()
	var list struct{ Nodes []Node }
	i.Call(t, http.MethodGet, "/v1/nodes?fields="+nodeFields, nil, &list)
	return list.Nodes
}

// Enroll adds a server and makes it available, as an operator does. extra may be nil.
func (i *Ironic) Enroll(t testing.TB, name, class string, extra map[string]any) {
	t.Helper()
	if extra == nil {
		extra = map[string]any{}
	}
	i.Call(t, http.MethodPost, "/v1/nodes", map[string]any{
		"name": name, "driver": "fake-hardware", "resource_class": class, "extra": extra,
	}, nil)
	path := "/v1/nodes/" + name
	i.Provision(t, name, "manage", "manageable")
	// Ironic allocates no node whose power it does not know.
	i.Call(t, http.MethodPut, path+"/states/power", map[string]string{"target": "power off"}, nil)
	i.Until(t, name+" is off", func() bool {
		n := i.Node(t, name)
		return n.Power != nil && *n.Power == "power off" && n.TargetPower == nil
	})
	i.Provision(t, name, "provide", "available")
}

// Provision changes a node's state, and waits until it has the state that follows.
func (i *Ironic) Provision(t testing.TB, name, target, state string) {
	t.Helper()
	i.Call(t, http.MethodPut, "/v1/nodes/"+name+"/states/provision", map[string]string{"target": target}, nil)
	i.Until(t, name+" is "+state, func() bool {
		n := i.Node(t, name)
		if strings.HasSuffix(n.State, "failed") || n.State == "error" {
			t.Fatalf("%s is %s: %s", name, n.State, n.LastError)
		}
		return n.State == state
	})
}

// Patch changes a node's field; the path is as in a JSON patch.
func (i *Ironic) Patch(t testing.TB, name, path string, value any) {
	t.Helper()
	i.Call(t, http.MethodPatch, "/v1/nodes/"+name, []map[string]any{{"op": "add", "path": path, "value": value}}, nil)
}

const configuration = `[DEFAULT]
host = test-conductor
my_ip = 127.0.0.1
state_path = $DIR
auth_strategy = http_basic
http_basic_auth_user_file = $DIR/htpasswd
rpc_transport = none
enabled_hardware_types = fake-hardware,redfish
enabled_bios_interfaces = fake,no-bios
enabled_boot_interfaces = fake,redfish-virtual-media
enabled_console_interfaces = fake,no-console
enabled_deploy_interfaces = fake,ramdisk
enabled_inspect_interfaces = fake,no-inspect
enabled_management_interfaces = fake,redfish
enabled_network_interfaces = noop
enabled_power_interfaces = fake,redfish
enabled_raid_interfaces = fake,no-raid
enabled_rescue_interfaces = fake,no-rescue
enabled_storage_interfaces = noop,fake
enabled_vendor_interfaces = fake,no-vendor
default_network_interface = noop
[api]
host_ip = 127.0.0.1
port = $PORT
api_workers = 1
[conductor]
automated_clean = true
[database]
connection = sqlite:///$DIR/ironic.sqlite
sqlite_synchronous = false
[dhcp]
dhcp_provider = none
[oslo_messaging_notifications]
driver = noop
[deploy]
http_root = $DIR/http
http_url = http://127.0.0.1:9
default_boot_mode = uefi
[pxe]
tftp_root = $DIR/tftp
tftp_master_path = $DIR/tftp/master
images_path = $DIR/images
instance_master_path = $DIR/images/master
[redfish]
use_swift = false
[fake]
deploy_delay = $DELAY
`
