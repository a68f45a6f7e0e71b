package rack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/rackagent"
)

// Errors of what a deployment asks for.
var (
	ErrNoCapacity = errors.New("rack: no machine of this kind is ready")
	ErrNoOffer    = errors.New("rack: there is no machine of this kind")
	ErrNoImage    = errors.New("rack: there is no image of this operating system")
	ErrEnded      = errors.New("rack: the machine of this deployment has been returned")
	ErrNone       = errors.New("rack: the deployment has no machine")
	ErrNoPower    = errors.New("rack: the machine has no BMC")
)

// Group is what is sold as one offer: machines that are alike.
type Group struct {
	Key, Region, Fabric, GPUType                      string
	GPUCount, GPUMemoryGB, VCPUs, MemoryGB, StorageGB int64
	// HourlyPrice is the highest of its machines.
	HourlyPrice money.Micros
	Ready       int64
	// OverSSH machines have no BMC: their tenants are trusted.
	OverSSH bool
	// Console reports whether each of its machines has a console.
	Console bool
}

// OfferKey returns the key of the offer that the machine is sold in. The price is no part of it, so
// that an offer keeps its id when its price changes.
func (m *Machine) OfferKey() string {
	text := fmt.Appendf(nil, "%q %q %q %d %d %d %d %d", m.Region, m.Fabric, m.GPUType, m.GPUCount, m.GPUMemoryGB,
		m.VCPUs, m.MemoryGB, m.StorageGB)
	if m.OverSSH() {
		text = append(text, " ssh"...)
	}
	sum := sha256.Sum256(text)
	return "rack-" + hex.EncodeToString(sum[:10])
}

// Launch is what a deployment wants installed.
type Launch struct {
	Deployment      id.ID
	Name            string
	OfferKey        string
	Region          string
	OperatingSystem string
	// Image is the tenant's own, instead of the operator's of that name.
	Image *provider.Image `json:",omitempty"`
	// Bare means that there is nothing to go back to if this installation cannot be started.
	Bare           bool `json:",omitempty"`
	AuthorizedKeys []string
	CloudInit      string
	HostKey        provider.HostKey
	// IgnoreEnded allows another machine for a deployment that has returned one.
	IgnoreEnded bool `json:"-"`
}

// launchPurpose is what a Launch is sealed for: it has a private key.
func launchPurpose(deployment id.ID) string { return "rack/launch/" + string(deployment) }

func (s *Service) sealLaunch(l Launch) (string, error) {
	text, err := json.Marshal(l)
	return s.cfg.Secrets.Seal(launchPurpose(l.Deployment), text), err
}

func (s *Service) openLaunch(m Machine) (l Launch, err error) {
	text, err := s.cfg.Secrets.Open(launchPurpose(m.lastDeployment), m.launch)
	if err != nil {
		return l, fmt.Errorf("open what is installed on %s: %w", m.ID, err)
	}
	return l, json.Unmarshal(text, &l)
}

// Groups returns what is sold, with how many machines of each are ready.
func (s *Service) Groups(ctx context.Context, r db.Reader) ([]Group, error) { return groups(ctx, r) }

// Tenant is a machine as its deployment sees it.
type Tenant struct {
	Machine
	Tenancy    Tenancy
	AssignedAt time.Time
}

// IP returns the machine's address without the length of its prefix.
func (t Tenant) IP() string { return addr(t.Address) }

func tenantOf(m Machine) Tenant {
	t := Tenant{Machine: m, Tenancy: m.tenancy}
	if m.assignedAt != nil {
		t.AssignedAt = *m.assignedAt
	}
	return t
}

// Assign gives a machine to a deployment: the one that it has, or one that is ready. However many
// deployments ask at once, each machine goes to one of them. It returns ErrNoCapacity, ErrNoOffer,
// ErrNoImage or ErrEnded.
func (s *Service) Assign(ctx context.Context, l Launch) (t Tenant, err error) {
	err = s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, has, err := byDeployment(ctx, tx, l.Deployment)
		if err == nil && !has {
			m, err = s.assign(ctx, tx, l)
		}
		if err != nil {
			return err
		}
		t = tenantOf(m)
		return nil
	})
	if err == nil {
		return t, nil
	}
	// Another call for the same deployment may have been faster: its reference is unique.
	if m, has, again := byDeployment(ctx, s.cfg.DB, l.Deployment); again == nil && has {
		return tenantOf(m), nil
	}
	return t, err
}

func (s *Service) assign(ctx context.Context, tx *db.Tx, l Launch) (Machine, error) {
	if !l.IgnoreEnded {
		if had, err := hadMachine(ctx, tx, l.Deployment); err != nil {
			return Machine{}, err
		} else if had {
			return Machine{}, ErrEnded
		}
	}
	if err := s.sold(ctx, tx, l); err != nil {
		return Machine{}, err
	}
	sealed, err := s.sealLaunch(l)
	if err != nil {
		return Machine{}, err
	}
	of, found, err := assign(ctx, tx, l.Deployment, l.OfferKey, l.Region, sealed)
	if err == nil && !found {
		err = ErrNoCapacity
	}
	if err != nil {
		return Machine{}, err
	}
	err = remember(ctx, tx, Transition{
		machine: of, At: tx.Now, from: Ready, To: Assigned, Cause: CauseAssigned, Reason: string(l.Deployment),
	})
	if err != nil {
		return Machine{}, err
	}
	if err := s.enqueue(ctx, tx, of); err != nil {
		return Machine{}, err
	}
	m, _, err := find(ctx, tx, of)
	crashpoint.Reach(crashpoint.RackAssignBeforeCommit)
	return m, err
}

// sold returns ErrNoOffer or ErrNoImage for what is not sold.
func (s *Service) sold(ctx context.Context, r db.Reader, l Launch) error {
	if err := installable(ctx, r, l); err != nil {
		return err
	}
	all, err := groups(ctx, r)
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.Key == l.OfferKey && g.Region == l.Region {
			return nil
		}
	}
	return ErrNoOffer
}

// installable returns ErrNoImage for an operating system that there is no image of.
func installable(ctx context.Context, r db.Reader, l Launch) error {
	if l.Image != nil {
		return nil
	}
	_, found, err := findImage(ctx, r, l.OperatingSystem)
	if err == nil && !found {
		err = ErrNoImage
	}
	return err
}

// Return takes the machine of a deployment back, if it has one: it is switched off and erased. The
// deployment has it until it is off.
func (s *Service) Return(ctx context.Context, deployment id.ID) error {
	err := s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, found, err := byDeployment(ctx, tx, deployment)
		if err != nil || !found || !m.State.Tenanted() {
			return err
		}
		return s.move(ctx, tx, &m, CauseReturned, string(deployment))
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackReturnAfterCommit)
	}
	return err
}

// Tenant returns the machine of a deployment, or ErrNone.
func (s *Service) Tenant(ctx context.Context, r db.Reader, deployment id.ID) (Tenant, error) {
	m, found, err := byDeployment(ctx, r, deployment)
	if err == nil && !found {
		err = ErrNone
	}
	if err != nil {
		return Tenant{}, err
	}
	return tenantOf(m), nil
}

// Tenants returns every machine that a deployment has.
func (s *Service) Tenants(ctx context.Context, r db.Reader) ([]Tenant, error) {
	all, err := tenanted(ctx, r)
	var out []Tenant
	for _, m := range all {
		out = append(out, tenantOf(m))
	}
	return out, err
}

// Want asks for the power of a deployment's machine, which ends its rescue. It returns ErrNone,
// ErrNoPower for one without a BMC, or ErrNotInstalled.
func (s *Service) Want(ctx context.Context, deployment id.ID, w Wish) error {
	return s.onTenant(ctx, deployment, func(ctx context.Context, tx *db.Tx, m *Machine) error {
		if m.OverSSH() {
			return ErrNoPower
		}
		if m.tenancy == Refused {
			return ErrNotInstalled
		}
		if m.tenancy == Rescuing {
			m.disk(&tx.Now)
			if w == WantOff {
				m.wanted = wantRescueOff
			}
			return endJob(ctx, tx, m.ID)
		}
		if m.wanted.leaves() {
			m.insteadOfDisk(w, tx.Now)
			return nil
		}
		already := w == WantOn && m.tenancy == Running && m.wanted == WantNothing ||
			w == WantOff && m.tenancy == SwitchedOff && m.wanted == WantNothing
		if m.tenancy != Running && m.tenancy != SwitchedOff || already || m.wanted == w {
			return nil // an installation ends with the machine switched on
		}
		m.wanted, m.wantedAt = w, &tx.Now
		return nil
	})
}

// Reinstall erases the drives of a deployment's machine and installs an operating system, or the
// tenant's own image if there is one, with the keys of its launch. It returns ErrNone or
// ErrNoImage.
func (s *Service) Reinstall(
	ctx context.Context, deployment id.ID, operatingSystem string, image *provider.Image,
) error {
	err := s.onTenant(ctx, deployment, func(ctx context.Context, tx *db.Tx, m *Machine) error {
		l, err := s.openLaunch(*m)
		if err != nil {
			return err
		}
		if l.Bare, err = bare(ctx, tx, *m, l); err != nil {
			return err
		}
		l.OperatingSystem, l.Image = operatingSystem, image
		if err := installable(ctx, tx, l); err != nil {
			return err
		}
		if m.launch, err = s.sealLaunch(l); err != nil {
			return err
		}
		m.tenancy, m.wanted, m.wantedAt = Installing, WantNothing, nil
		m.installs++
		return endJob(ctx, tx, m.ID)
	})
	if err == nil {
		crashpoint.Reach(crashpoint.RackReinstallAfterCommit)
	}
	return err
}

func (s *Service) onTenant(
	ctx context.Context, deployment id.ID, f func(ctx context.Context, tx *db.Tx, m *Machine) error,
) error {
	return s.cfg.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, found, err := byDeployment(ctx, tx, deployment)
		if err != nil {
			return err
		}
		if !found || !m.State.Tenanted() {
			return ErrNone
		}
		if err := f(ctx, tx, &m); err != nil {
			return err
		}
		if err := s.keep(ctx, tx, m); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, m.ID)
	})
}

// ErasureOf returns the last record of how a deployment's machine was erased, or NOT_FOUND.
func (s *Service) ErasureOf(ctx context.Context, r db.Reader, deployment id.ID) (Erasure, error) {
	e, found, err := lastErasure(ctx, r, deployment)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "No erasure is recorded for this deployment. It is recorded for the "+
			"operator's "+
			"own machines only, and once it has ended.")
	}
	return e, err
}

// Erasures returns a page of the records of a machine, newest first, or NOT_FOUND.
func (s *Service) Erasures(ctx context.Context, r db.Reader, of id.ID, p db.Page) ([]Erasure, db.Listed, error) {
	if _, err := s.Get(ctx, r, of); err != nil {
		return nil, db.Listed{}, err
	}
	return erasuresOf(ctx, r, of, p)
}

// Image is what an operating system is installed from.
type Image struct {
	Name      string           `json:"name" doc:"Name of the operating system, as offers list it."`
	URL       string           `json:"url" doc:"Where machines download the disk image."`
	SHA256    string           `json:"sha256" doc:"SHA-256 of the file in hex."`
	Format    rackagent.Format `json:"format" doc:"raw or qcow2."`
	Bytes     int64            `json:"bytes" doc:"Size of the file in bytes."`
	CreatedAt time.Time        `json:"createdAt" doc:"When it was entered."`
}
