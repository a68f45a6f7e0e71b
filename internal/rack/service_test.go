package rack_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/rack"
	"github.com/billetcloud/billet/internal/rack/racktest"
	"github.com/billetcloud/billet/internal/secret"
)

type testKit struct {
	*rack.Service
	t     *testing.T
	db    *db.DB
	clock *clock.Simulated
}

func each(t *testing.T, f func(k *testKit)) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		ids := id.NewMaker(c, rand.Reader)
		f(&testKit{serviceOn(t, d, c, ids, job.NewQueue(ids)), t, d, c})
	})
}

var imageNetworks = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}

func serviceOn(t *testing.T, d *db.DB, c clock.Clock, ids *id.Maker, queue *job.Queue) *rack.Service {
	t.Helper()
	box, err := secret.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return rack.New(rack.Config{
		DB: d, IDs: ids, Clock: c, Jobs: queue, Secrets: box, Calls: 100, ImageNetworks: imageNetworks,
		Issues: issuesOf(ids, queue),
		Open: func(ctx context.Context, a bmc.Address) (*bmc.BMC, error) {
			a.Wait = 100 * time.Millisecond
			return bmc.Open(ctx, a)
		},
		Server: func() (rack.Server, bool) {
			return rack.Server{
				URL: "https://192.0.2.250:8444", Pin: strings.Repeat("cd", 32), Boot: racktest.Boot,
			}, true
		},
	})
}

func issuesOf(ids *id.Maker, queue *job.Queue) *issue.Service {
	return issue.New(issue.Config{IDs: ids, Jobs: queue, Log: slog.New(slog.DiscardHandler)})
}

func p[T any](v T) *T { return &v }

// fields are those of the machine with that number.
func fields(n int) rack.MachineFields {
	return rack.MachineFields{
		Name: p(fmt.Sprintf("gpu-%02d", n)), BMCURL: p(fmt.Sprintf("https://10.0.0.%d", n)), BMCUser: p("billet"),
		BMCPassword: p("secret"), MACs: &[]string{fmt.Sprintf("3C:EC:EF:00:00:%02X", n)},
		Address: p(fmt.Sprintf("192.0.2.%d/24", n)), Gateway: p("192.0.2.254"), Nameservers: &[]string{"192.0.2.253"},
		Region: p("oslo-1"), Rack: p("A1"), Position: p(int64(2 * n)), Height: p(int64(2)),
		HourlyPrice: p(money.Dollars(12)), GPUType: p("NVIDIA H100"), GPUCount: p(int64(8)), GPUMemoryGB: p(int64(80)),
	}
}

func (k *testKit) tx(f func(ctx context.Context, tx *db.Tx) error) error {
	return k.db.InTx(k.t.Context(), f)
}

func (k *testKit) add(n int) rack.Machine {
	k.t.Helper()
	m, err := k.tryAdd(fields(n))
	if err != nil {
		k.t.Fatal(err)
	}
	return m
}

func (k *testKit) tryAdd(f rack.MachineFields) (m rack.Machine, err error) {
	err = k.tx(func(ctx context.Context, tx *db.Tx) error {
		m, err = k.Add(ctx, tx, f)
		return err
	})
	return m, err
}

func (k *testKit) update(of id.ID, f rack.MachineFields) (m rack.Machine, err error) {
	err = k.tx(func(ctx context.Context, tx *db.Tx) error {
		m, err = k.Update(ctx, tx, of, f)
		return err
	})
	return m, err
}

// faulty returns the fields that the error names.
func faulty(t *testing.T, err error) (fields []string) {
	t.Helper()
	if err == nil {
		return nil
	}
	if apierr.CodeOf(err) != apierr.InvalidRequest {
		t.Fatalf("%v, want INVALID_REQUEST", err)
	}
	var e *apierr.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	for _, f := range e.Fields() {
		fields = append(fields, f.Field)
		if !strings.HasSuffix(f.Message, ".") {
			t.Errorf("%s: %q is no sentence", f.Field, f.Message)
		}
	}
	return fields
}

func TestService_Add(t *testing.T) {
	each(t, func(k *testKit) {
		m := k.add(1)
		if m.State != rack.Enrolled || !m.Unerased || m.DeploymentID != nil || m.MACs[0] != "3c:ec:ef:00:00:01" ||
			m.HourlyPrice != money.Dollars(12) || !m.ID.Valid(id.Machine) {
			k.t.Errorf("added %+v", m)
		}
		got, err := k.Get(k.t.Context(), k.db, m.ID)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", m) {
			k.t.Errorf("stored %+v, %v, want %+v", got, err, m)
		}
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, "password:secret") {
			k.t.Error("the password is readable")
		}
		changes, _, err := k.History(k.t.Context(), k.db, m.ID, db.Page{Number: 1, Limit: 10})
		if err != nil || len(changes) != 1 || changes[0].To != rack.Enrolled || changes[0].From != nil {
			k.t.Errorf("history %+v, %v", changes, err)
		}
	})
}

// Everything that is wrong is named at once.
func TestService_AddRefuses(t *testing.T) {
	each(t, func(k *testKit) {
		k.add(1)
		for name, c := range map[string]struct {
			change func(f *rack.MachineFields)
			want   []string
		}{
			"nothing": {func(f *rack.MachineFields) { *f = rack.MachineFields{} }, []string{
				"name", "bmcUrl", "bmcUser", "macs", "address", "region", "gpuType", "gpuCount", "gpuMemoryGb",
				"bmcPassword",
			}},
			"http": {func(f *rack.MachineFields) { f.BMCURL = p("http://10.0.0.9") }, []string{"bmcUrl"}},
			"a path": {func(f *rack.MachineFields) {
				f.BMCURL = p("https://10.0.0.9/redfish")
			}, []string{"bmcUrl"}},
			"a short pin": {func(f *rack.MachineFields) {
				f.BMCCertificate = p("ab:cd")
			}, []string{"bmcCertificateSha256"}},
			"multicast MAC": {func(f *rack.MachineFields) {
				f.MACs = &[]string{"01:00:5e:00:00:01"}
			}, []string{"macs[0]"}},
			"a MAC twice": {func(f *rack.MachineFields) {
				f.MACs = &[]string{"3c:ec:ef:00:00:02", "3C-EC-EF-00-00-02"}
			}, []string{"macs[1]"}},
			"no prefix":       {func(f *rack.MachineFields) { f.Address = p("192.0.2.9") }, []string{"address"}},
			"gateway outside": {func(f *rack.MachineFields) { f.Gateway = p("198.51.100.1") }, []string{"gateway"}},
			"gateway itself":  {func(f *rack.MachineFields) { f.Gateway = p("192.0.2.2") }, []string{"gateway"}},
			"a name server": {func(f *rack.MachineFields) {
				f.Nameservers = &[]string{"192.0.2.253", "dns"}
			}, []string{"nameservers[1]"}},
			"above the rack": {func(f *rack.MachineFields) { f.Position = p(int64(64)) }, []string{"height"}},
			"labels": {func(f *rack.MachineFields) {
				f.Labels = &map[string]string{"a\nb": "c"}
			}, []string{"labels"}},
			"the price": {func(f *rack.MachineFields) {
				f.HourlyPrice = p(money.Micros(-1))
			}, []string{"hourlyPrice"}},
			"that of another": {func(f *rack.MachineFields) {
				*f = fields(1)
				f.Name, f.BMCURL = p("GPU-01"), p("HTTPS://10.0.0.1/")
			}, []string{"name", "bmcUrl", "address", "macs[0]", "position"}},
			"between two": {func(f *rack.MachineFields) { f.Position = p(int64(3)) }, []string{"position"}},
		} {
			f := fields(2)
			c.change(&f)
			_, err := k.tryAdd(f)
			if got := faulty(k.t, err); !slices.Equal(got, c.want) {
				k.t.Errorf("%s: %v, want %v (%v)", name, got, c.want, err)
			}
		}
	})
}

func TestService_Update(t *testing.T) {
	each(t, func(k *testKit) {
		m := k.add(1)
		k.add(2)
		k.clock.Advance(1e9)
		got, err := k.update(m.ID, rack.MachineFields{HourlyPrice: p(money.Dollars(3)), GPUCount: p(int64(4))})
		if err != nil || got.HourlyPrice != money.Dollars(3) || got.GPUCount != 4 || got.Name != m.Name ||
			!got.ChangedAt.After(m.ChangedAt) {
			k.t.Errorf("%+v, %v", got, err)
		}
		_, err = k.update(m.ID, rack.MachineFields{Name: p("gpu-02"), Address: p("192.0.2.2/24"), BMCPassword: p("")})
		if got := faulty(k.t, err); !slices.Equal(got, []string{"bmcPassword", "name", "address"}) {
			k.t.Errorf("%v", err)
		}
		if _, err := k.update("mac_none", rack.MachineFields{}); apierr.CodeOf(err) != apierr.NotFound {
			k.t.Errorf("%v, want NOT_FOUND", err)
		}
	})
}

func TestService_DrainQuarantineRemove(t *testing.T) {
	each(t, func(k *testKit) {
		m := k.add(1)
		type action = func(context.Context, *db.Tx, id.ID, string) (rack.Machine, error)
		act := func(f action) (got rack.Machine, err error) {
			err = k.tx(func(ctx context.Context, tx *db.Tx) error {
				got, err = f(ctx, tx, m.ID, "a fan is loud")
				return err
			})
			return got, err
		}
		if got, err := act(k.Quarantine); err != nil || got.State != rack.Quarantined || got.Reason != "a fan is loud" {
			k.t.Errorf("%+v, %v", got, err)
		}
		if _, err := act(k.Quarantine); apierr.CodeOf(err) != apierr.Conflict {
			k.t.Errorf("quarantined twice: %v", err)
		}
		if got, err := act(k.Drain); err != nil || got.State != rack.Retired {
			k.t.Errorf("%+v, %v", got, err)
		}
		changes, _, err := k.History(k.t.Context(), k.db, m.ID, db.Page{Number: 1, Limit: 2})
		if err != nil || len(changes) != 2 || changes[0].To != rack.Retired || *changes[0].From != rack.Quarantined ||
			changes[0].Number != 3 {
			k.t.Errorf("history %+v, %v", changes, err)
		}
		if err := k.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := k.Remove(ctx, tx, m.ID, false)
			return err
		}); err != nil {
			k.t.Error(err)
		}
		if _, err := k.Get(k.t.Context(), k.db, m.ID); apierr.CodeOf(err) != apierr.NotFound {
			k.t.Errorf("after the removal: %v", err)
		}
		k.add(1)
	})
}

const csvFile = `name,bmcUrl,bmcUser,bmcPassword,macs,address,gateway,nameservers,region,rack,` +
	`position,height,labels,hourlyPrice,gpuType,gpuCount,gpuMemoryGb
gpu-11,https://10.0.0.11,billet,pw,3c:ec:ef:00:00:11 3c:ec:ef:00:01:11,192.0.2.11/24,192.0.2.254,` +
	`192.0.2.1 192.0.2.2,oslo-1,A1,1,2,site=oslo tier=1,12.50,NVIDIA H100,8,80
gpu-12,https://10.0.0.12,billet,pw,3c:ec:ef:00:00:12,192.0.2.12/24,,,oslo-1,A1,3,,,12.50,NVIDIA H100,8,80
`

const yamlFile = `machines:
  - name: gpu-11
    bmcUrl: https://10.0.0.11
    bmcUser: billet
    bmcPassword: pw
    macs: ["3c:ec:ef:00:00:11", "3c:ec:ef:00:01:11"]
    address: 192.0.2.11/24
    gateway: 192.0.2.254
    nameservers: [192.0.2.1, 192.0.2.2]
    region: oslo-1
    rack: A1
    position: 1
    height: 2
    labels: {site: oslo, tier: 1}
    hourlyPrice: 12.50
    gpuType: NVIDIA H100
    gpuCount: 8
    gpuMemoryGb: 80
  - {name: gpu-12, bmcUrl: https://10.0.0.12, bmcUser: billet, bmcPassword: pw, macs: "3c:ec:ef:00:00:12",
     address: 192.0.2.12/24, region: oslo-1, rack: A1, position: 3, hourlyPrice: 12.5, gpuType: NVIDIA H100,
     gpuCount: 8, gpuMemoryGb: 80}
`

func (k *testKit) tryImport(rows []rack.Row) (added []rack.Machine, err error) {
	err = k.tx(func(ctx context.Context, tx *db.Tx) error {
		added, err = k.Import(ctx, tx, rows)
		return err
	})
	return added, err
}

// The two forms of a file say the same.
func TestService_Import(t *testing.T) {
	each(t, func(k *testKit) {
		var shown []string
		for name, read := range map[string]func() ([]rack.Row, error){
			"CSV":  func() ([]rack.Row, error) { return rack.ReadCSV(strings.NewReader(csvFile)) },
			"YAML": func() ([]rack.Row, error) { return rack.ReadYAML(strings.NewReader(yamlFile)) },
		} {
			rows, err := read()
			if err != nil || len(rows) != 2 {
				k.t.Fatalf("%s: %d rows, %v", name, len(rows), err)
			}
			added, err := k.tryImport(rows)
			if err != nil || len(added) != 2 {
				k.t.Fatalf("%s: %v", name, err)
			}
			m := added[0]
			if m.Labels["tier"] != "1" || len(m.MACs) != 2 || len(m.Nameservers) != 2 ||
				m.HourlyPrice != 12_500_000 || added[1].Height != 1 || added[1].Gateway != "" {
				k.t.Errorf("%s: %+v", name, added)
			}
			for i := range added {
				if err := k.tx(func(ctx context.Context, tx *db.Tx) error {
					_, err := k.Remove(ctx, tx, added[i].ID, false)
					return err
				}); err != nil {
					k.t.Fatal(err)
				}
				added[i].ID = ""
			}
			shown = append(shown, fmt.Sprint(added[0].MACs, added[0].Labels, added[1].Address, added[1].MACs))
		}
		if shown[0] != shown[1] {
			k.t.Errorf("the files differ: %s", strings.Join(shown, "\n"))
		}
	})
}

// A file is entered whole or not at all, and every fault of it is named with its line.
func TestService_ImportRefuses(t *testing.T) {
	each(t, func(k *testKit) {
		k.add(2)
		text := strings.ReplaceAll(csvFile, "gpu-12", "gpu-02")
		text = strings.ReplaceAll(text, "192.0.2.11/24,192.0.2.254", "192.0.2.11/99,192.0.2.254")
		text = strings.ReplaceAll(text, "3,,,12.50", "2,,,twelve")
		rows, err := rack.ReadCSV(strings.NewReader(text))
		if err != nil {
			k.t.Fatal(err)
		}
		_, err = k.tryImport(rows)
		want := []string{"line 2, address", "line 3, hourlyPrice", "line 3, name", "line 3, position"}
		if got := faulty(k.t, err); !slices.Equal(got, want) {
			k.t.Errorf("%v, want %v", got, want)
		}
		all, _, err := k.List(k.t.Context(), k.db, rack.Filter{}, db.Page{Number: 1, Limit: 10})
		if err != nil || len(all) != 1 {
			k.t.Errorf("%d machines, %v", len(all), err)
		}
	})
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		read func(text string) error
		text string
		want string
	}{
		"an unknown column": {csvError, "name,adress,prise\n", `"prise"`},
		"a column twice":    {csvError, "name,name\n", "twice"},
		"no columns":        {csvError, "", "first line"},
		"a short line":      {csvError, "name,region\na\n", "wrong number of fields"},
		"an unknown field":  {yamlError, "machines: [{nam: a}]", `"nam"`},
		"another document":  {yamlError, "servers: []", "servers"},
		"a large file":      {csvError, "name\n" + strings.Repeat("a\n", 4<<20), "larger than 4 MB"},
	} {
		if err := c.read(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func csvError(text string) error {
	_, err := rack.ReadCSV(strings.NewReader(text))
	return err
}

func yamlError(text string) error {
	_, err := rack.ReadYAML(strings.NewReader(text))
	return err
}
