package bmctest_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/billetcloud/billet/internal/bmc/bmctest"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/redfish"
)

const image = "http://10.0.0.1/job.iso"

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestGofish has a client that others wrote do a whole cycle.
func TestGofish(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]bmctest.Quirks{
		"no quirks": {},
		"strict": {
			ETagRequired: true, InsertWhileInsertedRefused: true, EmptyImageRefused: true, SessionOnly: true,
		},
		"newer media": {MediaUnderSystems: true, BasicOnly: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q.MaxPassword, q.LockoutAfter = 20, 5
			sim, a := bmctest.Start(t, bmctest.Config{Serial: "X1", GPUs: 1, SecureBoot: true, Quirks: q})
			insecure := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			t.Cleanup(insecure.CloseIdleConnections)
			c, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{
				Endpoint: a.URL, Username: a.User, Password: a.Password, BasicAuth: !q.SessionOnly,
				HTTPClient: &http.Client{Transport: insecure},
			})
			noError(t, err)
			systems, err := c.Service.Systems()
			noError(t, err)
			s := systems[0]
			if len(systems) != 1 || s.SerialNumber != "X1" || s.PowerState != redfish.OffPowerState {
				t.Errorf("got %d systems, serial %s, %s", len(systems), s.SerialNumber, s.PowerState)
			}
			checkInventory(t, c, s)

			cd := findCD(t, c, s)
			if err := cd.InsertMedia("", true, true); (err != nil) != q.EmptyImageRefused {
				t.Errorf("the insert of nothing: %v", err)
			}
			noError(t, cd.InsertMedia(image, true, true))
			cd = findCD(t, c, s)
			if !cd.Inserted || cd.Image != image {
				t.Errorf("got the CD %t %s", cd.Inserted, cd.Image)
			}
			if err := cd.InsertMedia(image, true, true); (err != nil) != q.InsertWhileInsertedRefused {
				t.Errorf("the second insert: %v", err)
			}
			noError(t, s.SetBoot(redfish.Boot{
				BootSourceOverrideTarget:  redfish.CdBootSourceOverrideTarget,
				BootSourceOverrideEnabled: redfish.OnceBootSourceOverrideEnabled,
				BootSourceOverrideMode:    redfish.UEFIBootSourceOverrideMode,
			}))
			noError(t, s.Reset(redfish.OnResetType))
			noError(t, s.Reset(redfish.ForceRestartResetType))
			noError(t, cd.EjectMedia())
			noError(t, s.Reset(redfish.ForceOffResetType))
			if got := sim.State(); !slices.Equal(got.Boots, []string{image, ""}) || got.On || got.CD != "" {
				t.Errorf("got %+v", got)
			}
			checkPassword(t, c, sim)
			c.Logout()
			if got := sim.State(); got.Sessions > 0 {
				t.Errorf("%d sessions stay open", got.Sessions)
			}
		})
	}
}

func checkInventory(t *testing.T, c *gofish.APIClient, s *redfish.ComputerSystem) {
	t.Helper()
	processors, err := s.Processors()
	noError(t, err)
	isGPU := func(p *redfish.Processor) bool { return p.ProcessorType == redfish.GPUProcessorType }
	if len(processors) != 2 || !slices.ContainsFunc(processors, isGPU) {
		t.Errorf("got %d processors", len(processors))
	}
	nics, err := s.EthernetInterfaces()
	noError(t, err)
	if len(nics) != 1 || nics[0].MACAddress != "52:54:00:AA:00:01" {
		t.Errorf("got %d interfaces", len(nics))
	}
	secure, err := s.SecureBoot()
	noError(t, err)
	if secure.SecureBootCurrentBoot != redfish.EnabledSecureBootCurrentBootType {
		t.Errorf("got Secure Boot %s", secure.SecureBootCurrentBoot)
	}
	updates, err := c.Service.UpdateService()
	noError(t, err)
	firmware, err := updates.FirmwareInventories()
	noError(t, err)
	if len(firmware) != 1 || firmware[0].Version != "22.3" {
		t.Errorf("got %d firmwares", len(firmware))
	}
	accounts, err := c.Service.AccountService()
	noError(t, err)
	list, err := accounts.Accounts()
	noError(t, err)
	if len(list) != 1 || list[0].UserName != "admin" || list[0].Locked || accounts.AccountLockoutThreshold != 5 ||
		accounts.MinPasswordLength != 6 || accounts.MaxPasswordLength != 20 {
		t.Errorf("got %d accounts, %+v", len(list), accounts)
	}
}

// checkPassword has the client change the password.
func checkPassword(t *testing.T, c *gofish.APIClient, sim *bmctest.BMC) {
	t.Helper()
	accounts, err := c.Service.AccountService()
	noError(t, err)
	list, err := accounts.Accounts()
	noError(t, err)
	list[0].Password = "of 21 characters long"
	if err := list[0].Update(); err == nil {
		t.Error("a password that is too long is accepted")
	}
	list[0].Password = "another-one"
	noError(t, list[0].Update())
	if got := sim.State().Password; got != "another-one" {
		t.Errorf("got the password %q", got)
	}
}

func findCD(t *testing.T, c *gofish.APIClient, s *redfish.ComputerSystem) *redfish.VirtualMedia {
	t.Helper()
	all, err := s.VirtualMedia()
	noError(t, err)
	managers, err := c.Service.Managers()
	noError(t, err)
	for _, m := range managers {
		more, err := m.VirtualMedia()
		noError(t, err)
		all = append(all, more...)
	}
	for _, v := range all {
		if slices.Contains(v.MediaTypes, redfish.CDMediaType) {
			return v
		}
	}
	t.Fatal("no virtual CD")
	return nil
}

// python is the interpreter that has the Debian package python3-sushy.
const python = "/usr/bin/python3"

// TestSushy has the Redfish client of OpenStack Ironic do a whole cycle.
func TestSushy(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), python, "-c", "import sushy").Run(); err != nil {
		if os.Getenv("BILLET_TEST_REQUIRE_CLIENTS") != "" {
			t.Fatalf("the Debian package python3-sushy is required: %v", err)
		}
		t.Skip("SKIPPED: install the Debian package python3-sushy to compare the emulator with Ironic's client")
	}
	for name, q := range map[string]bmctest.Quirks{
		"no quirks": {},
		"strict": {
			ETagRequired: true, TransferProtocolRequired: true, InsertWhileInsertedRefused: true, BasicOnly: true,
		},
		"sessions": {SessionOnly: true, InsertOnlyImage: true, PowerLag: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := bmctest.New(bmctest.Config{Serial: "X1", Quirks: q})
			server := httptest.NewServer(sim)
			t.Cleanup(func() {
				server.Close()
				sim.Close()
			})
			auth := "basic"
			if q.SessionOnly {
				auth = "session"
			}
			cmd := exec.CommandContext(t.Context(), python, "testdata/cycle.py", server.URL, auth, image)
			if text, err := cmd.CombinedOutput(); err != nil {
				if e, is := errors.AsType[*exec.ExitError](err); is {
					t.Fatalf("%v\n%s", e, text)
				}
				t.Fatal(err)
			}
			got := sim.State()
			if !slices.Equal(got.Boots, []string{image, ""}) || got.On || got.CD != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}
