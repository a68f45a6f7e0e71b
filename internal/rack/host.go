package rack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rackagent"
	"github.com/billetcloud/billet/internal/sshhost"
)

// hostLimit is how long it is tried to start the agent on a machine without a BMC: the machine may
// be starting.
const hostLimit = time.Hour

// system is what runs on a machine without a BMC while no agent does.
type system string

// The systems.
const (
	systemOperators system = ""       // what was there when it was entered
	systemIdle      system = "idle"   // what is installed after each erasure
	systemTenants   system = "tenant" // what was installed for the last deployment
)

// login is the secret part of how a machine without a BMC is signed in to.
type login struct {
	// Key is the private key that its systems accept.
	Key string
	// Idle is the host key of the system that is installed after an erasure.
	Idle provider.HostKey
}

// loginPurpose is what a login is sealed for.
func loginPurpose(machine id.ID) string { return "rack/ssh/" + string(machine) }

// OverSSH reports whether the agent is started on the machine by SSH: it has no BMC.
func (m *Machine) OverSSH() bool { return m.SSHAddress != "" }

// leave ends what a deployment has of a machine. What runs on one without a BMC has the host key of
// its launch until it is erased.
func (m *Machine) leave() {
	m.DeploymentID, m.tenancy, m.wanted, m.wantedAt = nil, NoTenancy, WantNothing, nil
	if !m.OverSSH() {
		m.launch = ""
	}
}

// finishing reports whether the agent works on the installation for a deployment that has ended. On
// a machine without a BMC it is not interrupted: half of a system would not start, and so could not
// be replaced either.
func (m Machine) finishing(j *agentJob) bool {
	return m.OverSSH() && m.State == Erasing && m.tenancy == Installing &&
		j != nil && j.Kind == rackagent.Deploy && j.ClaimedAt != nil && !j.Closed
}

// heard applies that an agent runs on the machine.
func (m *Machine) heard(j agentJob) {
	m.Detail = fmt.Sprintf("The agent: %s, %d%%", j.Phase, j.Progress)
	if m.OverSSH() && m.State == Erasing && j.Kind == rackagent.Erase {
		m.leave() // what the tenant installed does not run any more
	}
}

var hostText = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// ssh checks how a machine without a BMC is signed in to.
func (f *faults) ssh(m Machine) Machine {
	for field, text := range map[string]string{
		"bmcUrl": m.BMCURL, "bmcUser": m.BMCUser, "bmcCertificateSha256": m.BMCCertificate,
	} {
		if text != "" {
			f.add(field, "must be empty: a machine has a BMC or sshAddress.")
		}
	}
	host, port, err := net.SplitHostPort(m.SSHAddress)
	if err != nil {
		host, port = strings.Trim(m.SSHAddress, "[]"), "22"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	ip, notIP := netip.ParseAddr(host)
	if err != nil || n == 0 || notIP != nil && !hostText.MatchString(host) || ip.Zone() != "" {
		f.add("sshAddress", "must be an IP address or a host name, with or without a port, such as 192.0.2.10:22.")
	} else {
		m.SSHAddress = net.JoinHostPort(strings.ToLower(host), port)
	}
	if m.SSHUser == "" {
		m.SSHUser = "root"
	}
	*f = append(*f, apierr.CheckName("sshUser", m.SSHUser)...)
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(m.SSHHostKey))
	if err != nil || len(rest) > 0 {
		f.add("sshHostKey", "must be the machine's public host key, such as \"ssh-ed25519 AAAA…\": see "+
			"/etc/ssh/ssh_host_ed25519_key.pub there.")
	} else {
		m.SSHHostKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	}
	*f = append(*f, apierr.CheckName("idleImage", m.IdleImage)...)
	return m
}

// secrets seals what a change says of how the machine is signed in to.
func (s *Service) secrets(m *Machine, change MachineFields, wrong *faults) error {
	if !m.OverSSH() {
		m.SSHPublicKey, m.sealedSSH = "", ""
		for field, text := range map[string]*string{
			"sshUser": change.SSHUser, "sshHostKey": change.SSHHostKey, "sshPrivateKey": change.SSHPrivateKey,
			"idleImage": change.IdleImage,
		} {
			if text != nil && *text != "" {
				wrong.add(field, "needs sshAddress.")
			}
		}
		if change.BMCPassword != nil || m.sealed == "" {
			password := ""
			set(&password, change.BMCPassword)
			wrong.checkPassword("bmcPassword", password)
			m.sealed = s.cfg.Secrets.Seal(purpose(m.ID), []byte(password))
		}
		return nil
	}
	m.sealed = ""
	if change.BMCPassword != nil && *change.BMCPassword != "" {
		wrong.add("bmcPassword", "must be omitted: a machine has a BMC or sshAddress.")
	}
	if change.SSHAddress != nil || change.SSHUser != nil || change.SSHHostKey != nil {
		m.system = systemOperators
	}
	if change.SSHPrivateKey == nil && m.sealedSSH != "" {
		return nil
	}
	a, err := s.newLogin(*m)
	if err != nil {
		return err
	}
	if change.SSHPrivateKey != nil && strings.TrimSpace(*change.SSHPrivateKey) != "" {
		a.Key = strings.TrimSpace(*change.SSHPrivateKey) + "\n"
	}
	key, err := ssh.ParsePrivateKey([]byte(a.Key))
	if err != nil || len(a.Key) > maxKey {
		wrong.add("sshPrivateKey", "must be a private key in OpenSSH's format, without a passphrase.")
		return nil
	}
	m.SSHPublicKey = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	text, err := json.Marshal(a)
	m.sealedSSH = s.cfg.Secrets.Seal(loginPurpose(m.ID), text)
	return err
}

// maxKey is how many bytes a private key may have.
const maxKey = 16 << 10

// newLogin returns a login with a new key. The host key that a machine's idle system shows stays.
func (s *Service) newLogin(m Machine) (a login, err error) {
	own, err := provider.NewHostKey() // a key pair like any other
	if err != nil {
		return a, err
	}
	a.Key = own.Private
	if m.sealedSSH != "" {
		if before, err := s.openLogin(m); err == nil {
			a.Idle = before.Idle
			return a, nil
		}
	}
	a.Idle, err = provider.NewHostKey()
	return a, err
}

func (s *Service) openLogin(m Machine) (a login, err error) {
	text, err := s.cfg.Secrets.Open(loginPurpose(m.ID), m.sealedSSH)
	if err != nil {
		return a, fmt.Errorf("the key of %s cannot be decrypted; set sshPrivateKey again: %w", m.Name, err)
	}
	return a, json.Unmarshal(text, &a)
}

// addresses returns how each system is signed in to that may run on a machine without a BMC, the
// one that should first. Until an erasure has passed it may be another: an agent may have installed
// one and its last report been lost, or not been believed.
func (s *Service) addresses(m Machine) (out []sshhost.Address, err error) {
	a, err := s.openLogin(m)
	if err != nil {
		return nil, err
	}
	add := func(user, hostKey string) {
		out = append(out, sshhost.Address{Address: m.SSHAddress, User: user, HostKey: hostKey, Key: []byte(a.Key)})
	}
	may := []system{m.system}
	for _, other := range []system{systemTenants, systemIdle} {
		if m.Unerased && other != m.system {
			may = append(may, other)
		}
	}
	for _, which := range may {
		switch {
		case which == systemOperators:
			add(m.SSHUser, m.SSHHostKey)
		case which == systemIdle:
			add("root", a.Idle.Public)
		case m.launch != "":
			l, err := s.openLaunch(m)
			if err != nil {
				return nil, err
			}
			add("root", l.HostKey.Public)
		}
	}
	return out, nil
}

// signInLimit is how long signing in, and the check of what runs there, may take together: one that
// hangs would keep others from being called.
const signInLimit = time.Minute

// signIn signs in to the system that runs on a machine without a BMC.
func (s *Service) signIn(ctx context.Context, m Machine) (h *sshhost.Host, err error) {
	all, err := s.addresses(m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, signInLimit)
	defer cancel()
	for _, at := range all {
		if h, err = sshhost.Open(ctx, at); !sshhost.OtherHostKey(err) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	if err := h.Check(ctx); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// bootHost starts the agent in place of what runs on a machine without a BMC. The machine is signed
// in to before there is a new token: an agent that runs keeps the one that it has.
func (s *Service) bootHost(ctx context.Context, m Machine, j agentJob, server Server) error {
	if server.Boot == nil {
		return errors.New("this server has no image of the agent: start it with --racks-agent-iso")
	}
	if j.BootedAt == nil && j.ClaimedAt != nil && j.TokenHash != nil { // it was started, and the answer lost
		return s.booted(ctx, j, *j.TokenHash)
	}
	b, err := server.Boot()
	if err != nil {
		return err
	}
	if _, found, err := findImage(ctx, s.cfg.DB, m.IdleImage); err != nil {
		return err
	} else if !found && j.Kind == rackagent.Erase {
		return fmt.Errorf("there is no image %q, which is installed after an erasure: add it, or change idleImage",
			m.IdleImage)
	}
	h, err := s.signIn(ctx, m)
	if err != nil {
		return s.refusedHost(ctx, m, j, err)
	}
	defer h.Close()
	token, j, err := s.renew(ctx, m, j)
	if err != nil {
		return err
	}
	p, err := parametersOf(m, server, token)
	if err != nil {
		return err
	}
	crashpoint.Reach(crashpoint.RackBootBeforeCall)
	if err := h.Start(ctx, b, p); err != nil {
		if e, is := errors.AsType[*sshhost.Error](err); is && e.Kind == sshhost.KindUnreachable {
			return s.refusedHost(ctx, m, j, err) // it may have been started, and keeps its token until then
		}
		return errors.Join(s.revoke(ctx, j), s.refusedHost(ctx, m, j, err))
	}
	crashpoint.Reach(crashpoint.RackBootAfterCall)
	return s.booted(ctx, j, hashOf(token))
}

// refusedHost ends a job whose agent could not be started for hostLimit. A machine that does not
// answer may be starting, and one that does not accept our key may not be configured yet.
func (s *Service) refusedHost(ctx context.Context, m Machine, j agentJob, err error) error {
	e, is := errors.AsType[*sshhost.Error](err)
	if !is {
		return err
	}
	since := j.CreatedAt
	for _, at := range []*time.Time{j.BootedAt, j.HeardAt} {
		if at != nil && at.After(since) {
			since = *at
		}
	}
	if s.cfg.Clock.Now().Sub(since) < hostLimit {
		return err
	}
	text := "the agent could not be started by SSH: " + plain(e.Message)
	if m.State == Erasing {
		text += "; what its last tenant installed may still run: switch the machine off by hand"
	}
	return s.fail(ctx, m, j, CauseTimedOut, text)
}

// inventoryOf returns what an agent says of a machine whose BMC cannot be asked.
func inventoryOf(found *rackagent.Hardware) bmc.Inventory {
	inv := bmc.Inventory{SecureBoot: bmc.SecureBootUnknown, VirtualCD: true, Firmware: map[string]string{}}
	if found != nil {
		inv.Serial, inv.Model, inv.Manufacturer = found.Serial, found.Product, found.Vendor
		if found.Firmware != "" {
			inv.Firmware["BIOS"] = found.Firmware
		}
	}
	return inv
}

// inventory returns what is known of a machine beside what an agent has reported. Of one without a
// BMC that is only that the agent can be started on it.
func (s *Service) inventory(ctx context.Context, m Machine) (inv bmc.Inventory, err error) {
	if !m.OverSSH() {
		b, err := s.open(ctx, m)
		if err != nil {
			return inv, err
		}
		defer b.Close()
		return b.Inventory(ctx)
	}
	h, err := s.signIn(ctx, m)
	if err != nil {
		return inv, err
	}
	h.Close()
	inv = inventoryOf(nil)
	if m.Hardware != nil {
		inv.Serial = m.Hardware.Serial
	}
	return inv, nil
}

// silent quarantines a machine without a BMC that does not answer after its erasure.
func (s *Service) silent(ctx context.Context, was Machine, err error) error {
	e, is := errors.AsType[*sshhost.Error](err)
	if !is || s.cfg.Clock.Now().Sub(was.StateAt) < hostLimit {
		return err
	}
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := s.still(ctx, tx, was)
		if err != nil {
			return err
		}
		return s.move(ctx, tx, &m, CauseTimedOut, reason([]string{"it cannot be used by SSH: " + plain(e.Message)}))
	})
}

// idleJob has the agent erase the drives and install what the machine is reached by after that.
func (s *Service) idleJob(ctx context.Context, r db.Reader, j agentJob, m Machine, out *rackagent.Job) error {
	a, err := s.openLogin(m)
	if err != nil {
		return err
	}
	prefix, err := netip.ParsePrefix(m.Address)
	if err != nil {
		return err
	}
	out.Kind = rackagent.Deploy
	if out.Image, err = imageFor(ctx, r, m.IdleImage); err != nil {
		return err
	}
	out.Config, err = configOf(m, Launch{Deployment: j.ID, Name: m.Name, HostKey: a.Idle}, prefix)
	return err
}
