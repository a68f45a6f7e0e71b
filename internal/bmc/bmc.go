package bmc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	defaultTimeout = 30 * time.Second
	defaultWait    = time.Minute
)

// Address is where a BMC is, and how to sign in.
type Address struct {
	// URL is https://host or https://host:port. With http:// the password is sent readable.
	URL            string
	User, Password string
	// Other is a password that may be valid instead of Password, as when a change of it was
	// interrupted; "" for none. Each is tried once, so that the account is not locked.
	Other string
	// CertificateSHA256 is the SHA-256 of the BMC's certificate, as hexadecimal digits. Where it is
	// "", the certificate must be signed by a certificate authority that the system trusts.
	CertificateSHA256 string
	// System is the Id of the server, where the BMC manages several; else "".
	System string
	// Timeout limits one request; 30 s where it is 0.
	Timeout time.Duration
	// Wait limits waiting until a change that the BMC accepted is visible; 1 min where it is 0.
	Wait time.Duration
}

// String returns the URL only, so that no log has the password.
func (a Address) String() string { return a.URL }

// Check returns what is wrong with the address, as the end of a sentence that begins with its
// name, or "".
func (a Address) Check() string {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return "must be a URL such as https://10.0.0.5."
	case u.User != nil:
		return "must not contain a username or password."
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "must contain only a scheme, a host and a port."
	}
	if _, err := parsePin(a.CertificateSHA256); err != nil {
		return "has a wrong certificate: " + err.Error() + "."
	}
	return ""
}

// BMC is a client of one BMC, for one server. It is not safe for concurrent use: many BMCs answer
// one request at a time.
type BMC struct {
	address  Address
	base     *url.URL
	http     *http.Client
	password string
	other    bool     // Address.Other is valid
	secrets  []string // passwords that are in no error
	images   []string // secret ends of the URLs of images

	anonymous bool // no password is sent

	token, session string // "" while passwords are sent with each request
	sessions       string // path of the collection

	accounts, updates string   // paths of services, "" where there are none
	systems           []string // paths of all systems
	system            string   // path of ours
	managers          []string
}

// Open finds the server and makes sure that the password is accepted. Close the result.
func Open(ctx context.Context, a Address) (*BMC, error) {
	if wrong := a.Check(); wrong != "" {
		return nil, failure(KindRejected, "the address of the BMC %s", wrong)
	}
	if a.Timeout == 0 {
		a.Timeout = defaultTimeout
	}
	if a.Wait == 0 {
		a.Wait = defaultWait
	}
	base, err := url.Parse(strings.TrimRight(a.URL, "/") + "/")
	if err != nil {
		return nil, err
	}
	pin, err := parsePin(a.CertificateSHA256)
	if err != nil {
		return nil, err
	}
	b := &BMC{
		address: a, base: base, password: a.Password, secrets: []string{a.Password, a.Other},
		sessions: "/redfish/v1/SessionService/Sessions",
		http:     &http.Client{Transport: transport(a, pin), CheckRedirect: noRedirect},
	}
	if err := b.discover(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the session, if there is one, and the connections.
func (b *BMC) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	b.signOut(ctx)
	b.http.CloseIdleConnections()
}

func (b *BMC) discover(ctx context.Context) error {
	var root struct {
		Systems, Managers, AccountService, UpdateService link
		Links                                            struct{ Sessions link }
	}
	// Anyone may read the root. A wrong password would count as one more try.
	b.anonymous = true
	_, err := b.get(ctx, "/redfish/v1/", &root)
	b.anonymous = false
	if withStatus(err, http.StatusUnauthorized) && b.address.Other == "" {
		_, err = b.get(ctx, "/redfish/v1/", &root)
	}
	if err != nil {
		return err
	}
	if at, err := b.local(root.Links.Sessions.ID); err == nil {
		b.sessions = at
	}
	b.accounts, b.updates = root.AccountService.ID, root.UpdateService.ID
	if root.Systems.ID == "" {
		return failure(KindUnsupported, "the BMC manages no systems")
	}
	if err := b.chooseOther(ctx, root.Systems.ID); err != nil {
		return err
	}
	if b.systems, err = b.members(ctx, root.Systems.ID); err != nil {
		return err
	}
	s, err := b.choose(ctx)
	if err != nil {
		return err
	}
	for _, m := range s.Links.ManagedBy {
		b.managers = append(b.managers, m.ID)
	}
	if len(b.managers) == 0 && root.Managers.ID != "" {
		b.managers, err = b.members(ctx, root.Managers.ID)
	}
	return err
}

// Other reports whether Address.Other is the password that is valid.
func (b *BMC) Other() bool { return b.other }

// chooseOther finds out which of two passwords is valid, with at most one wrong try.
func (b *BMC) chooseOther(ctx context.Context, path string) error {
	if b.address.Other == "" {
		return nil
	}
	first := b.prove(ctx, path)
	if !withStatus(first, http.StatusUnauthorized) {
		return first
	}
	b.password = b.address.Other
	err := b.prove(ctx, path)
	b.other = err == nil
	if withStatus(err, http.StatusUnauthorized) {
		b.password = b.address.Password
		return first
	}
	return err
}

// choose finds our system. GPU baseboards are systems, too, which cannot be booted.
func (b *BMC) choose(ctx context.Context) (system, error) {
	var found system
	var ids, bootable []string
	for _, path := range b.systems {
		var s system
		if _, err := b.get(ctx, path, &s); err != nil {
			return system{}, err
		}
		ids = append(ids, s.ID)
		named := b.address.System != "" && s.ID == b.address.System
		if named || b.address.System == "" && (s.Boot.Enabled != "" || len(b.systems) == 1) {
			found, b.system = s, path
			bootable = append(bootable, s.ID)
		}
	}
	if len(bootable) != 1 {
		return system{}, failure(KindUnsupported, "set the Id of the system; the BMC has %s",
			b.plain(fmt.Sprintf("%q", ids)))
	}
	return found, nil
}

// system is a ComputerSystem.
type system struct {
	ID                                     string `json:"Id"`
	PowerState                             string
	Manufacturer, Model, SerialNumber, SKU string
	BiosVersion                            string
	Boot                                   boot
	Processors, EthernetInterfaces         link
	SecureBoot, VirtualMedia               link
	Links                                  struct{ ManagedBy []link }
	Actions                                struct {
		Reset struct {
			Target string   `json:"target"`
			Types  []string `json:"ResetType@Redfish.AllowableValues"`
		} `json:"#ComputerSystem.Reset"`
	}
}

type boot struct {
	Target  string   `json:"BootSourceOverrideTarget"`
	Enabled string   `json:"BootSourceOverrideEnabled"`
	Mode    string   `json:"BootSourceOverrideMode"`
	Targets []string `json:"BootSourceOverrideTarget@Redfish.AllowableValues"`
}

func (b *BMC) read(ctx context.Context) (system, error) {
	var s system
	_, err := b.get(ctx, b.system, &s)
	return s, err
}
