package catalog_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/billetcloud/billet/internal/catalog"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type spelling struct {
	name   string
	memory int
}

var spellings = map[string]spelling{
	"h100-sxm5-80gb":                        {"NVIDIA H100", 80},
	"H100_sxm5x8":                           {"NVIDIA H100", 80},
	"h100-sxm5":                             {"NVIDIA H100", 80},
	"H100":                                  {"NVIDIA H100", 80},
	"8x H100":                               {"NVIDIA H100", 80},
	"8 x H100 (80 GB)":                      {"NVIDIA H100", 80},
	"H100x8":                                {"NVIDIA H100", 80},
	"H100_BAREMETAL":                        {"NVIDIA H100", 80},
	"NVIDIA H100 80GB HBM3":                 {"NVIDIA H100", 80},
	"H100 96GB":                             {"NVIDIA H100", 0}, // there are some
	"gpu_8x_h100_sxm5gdr":                   {"NVIDIA H100", 80},
	"gpu_1x_h100_pcie":                      {"NVIDIA H100 PCIe", 80},
	"NVIDIA H100 PCIe":                      {"NVIDIA H100 PCIe", 80},
	"h100_nvl":                              {"NVIDIA H100 NVL", 94},
	"H100 NVL PCIe 94GB":                    {"NVIDIA H100 NVL", 94},
	"NVIDIA H200 141GB HBM3e":               {"NVIDIA H200", 141},
	"A100":                                  {"NVIDIA A100", 0},
	"A100_80GB":                             {"NVIDIA A100", 80},
	"A100_80Gx4":                            {"NVIDIA A100", 80},
	"NVIDIA A100-SXM4-40GB":                 {"NVIDIA A100", 40},
	"A100 PCIe 80 GB":                       {"NVIDIA A100 PCIe", 80},
	"rtx-4090":                              {"NVIDIA RTX 4090", 24},
	"RTX 4090":                              {"NVIDIA RTX 4090", 24},
	"NVIDIA GeForce RTX 4090":               {"NVIDIA RTX 4090", 24},
	"RTX4080 SUPER":                         {"NVIDIA RTX 4080 Super", 16},
	"MI300X":                                {"AMD MI300X", 192},
	"AMD Instinct MI300X OAM":               {"AMD MI300X", 192},
	"8xmi300x":                              {"AMD MI300X", 192},
	"l40s":                                  {"NVIDIA L40S", 48},
	"NVIDIA L40S PCIe":                      {"NVIDIA L40S", 48},
	"b200-sxm6-180gb":                       {"NVIDIA B200", 180},
	"A6000":                                 {"NVIDIA RTX A6000", 48},
	"A6000x2":                               {"NVIDIA RTX A6000", 48},
	"gpu_1x_a6000":                          {"NVIDIA RTX A6000", 48},
	"RTX 6000 Ada":                          {"NVIDIA RTX 6000 Ada", 48},
	"NVIDIA RTX 6000 Ada Generation":        {"NVIDIA RTX 6000 Ada", 48},
	"RTX 6000":                              {"NVIDIA RTX 6000", 0},
	"RTX PRO 6000 Blackwell":                {"NVIDIA RTX PRO 6000 Blackwell", 96},
	"RTX PRO 6000":                          {"NVIDIA RTX PRO 6000 Blackwell", 96},
	"rtx6kpro":                              {"NVIDIA RTX PRO 6000 Blackwell", 96},
	"RTX PRO 6000 Blackwell Server Edition": {"NVIDIA RTX PRO 6000 Blackwell", 96},
	"GH200":                                 {"NVIDIA GH200", 0},
	"NVIDIA GH200 480GB":                    {"NVIDIA GH200", 0}, // of the processor
	"gh200-96gb":                            {"NVIDIA GH200", 96},
	"GB200 NVL72":                           {"NVIDIA GB200", 0},
	"Tesla T4":                              {"NVIDIA T4", 16},
	"gpu_8x_v100_sxm2":                      {"NVIDIA V100", 0},
	"NVIDIA A10G":                           {"NVIDIA A10G", 24},
	"Gaudi2":                                {"Intel Gaudi 2", 96},

	"8x H100 (80 GB SXM5)":       {"NVIDIA H100", 80},
	"8x H100 BAREMETAL":          {"NVIDIA H100", 80},
	"NVIDIA H100 SXM5 BAREMETAL": {"NVIDIA H100", 80},
	"1 x H100":                   {"NVIDIA H100", 80},
	"B200 (180 GB SXM6)":         {"NVIDIA B200", 180},
	"1x GH200 (96 GB)":           {"NVIDIA GH200", 96},
	"A100_80GB_PCIe_8x":          {"NVIDIA A100 PCIe", 80},
	"RTX4090":                    {"NVIDIA RTX 4090", 24},

	// What is not understood, or contradicts itself, stays as it is.
	"TPU v5e":           {"TPU v5e", 0},
	"AMD H100":          {"AMD H100", 0},
	"H100 SXM5 PCIe":    {"H100 SXM5 PCIe", 0},
	"H200 PCIe":         {"H200 PCIe", 0},
	"H100 + A100":       {"H100 + A100", 0},
	"H100 (half)":       {"H100 (half)", 0},
	"mi300x8":           {"mi300x8", 0},
	"NVIDIA":            {"NVIDIA", 0},
	"8x":                {"8x", 0},
	"H100 ½":            {"H100 ½", 0},
	"NVIDIA Vera Rubin": {"NVIDIA Vera Rubin", 0},
}

func TestGPUName(t *testing.T) {
	for text, want := range spellings {
		if name, memory := catalog.GPUName(text); name != want.name || memory != want.memory {
			t.Errorf("%q is %q with %d GB, not %q with %d", text, name, memory, want.name, want.memory)
		}
	}
	for name, sizes := range catalog.GPUNames() {
		got, memory := catalog.GPUName(name)
		if got != name {
			t.Errorf("%q is %q", name, got)
		}
		if (len(sizes) == 1) != (memory != 0) {
			t.Errorf("%q is made with %v GB and has %d", name, sizes, memory)
		}
		for _, other := range []string{strings.ToLower(name), strings.ToUpper(name),
			strings.ReplaceAll(name, " ", "_"), strings.ReplaceAll(name, " ", "-"), strings.ReplaceAll(name, " ", "")} {
			if got, _ := catalog.GPUName(other); got != name && !strings.HasPrefix(letters(other), "nvidia") &&
				!strings.HasPrefix(letters(other), "amd") && !strings.HasPrefix(letters(other), "intel") {
				t.Errorf("%q is %q, not %q", other, got, name)
			}
		}
	}
}

func letters(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }

func TestLinkName(t *testing.T) {
	for text, want := range map[string]string{
		"SXM5": "NVLink", "infiniband": "InfiniBand", "INFINIBAND": "InfiniBand", "ib": "InfiniBand",
		"ethernet": "Ethernet", "PCIE": "PCIe", "PCI-Express": "PCIe", "nvlink": "NVLink",
		"RoCE v2": "RoCE", "infiniband_3200gbps": "InfiniBand 3200 Gb/s",
		"InfiniBand 3200 Gbps": "InfiniBand 3200 Gb/s", "100G Ethernet": "Ethernet 100 Gb/s",
		"InfiniBand 3200 Gb/s": "InfiniBand 3200 Gb/s", "none": "", "N/A": "", "": "",
		"InfiniBand 3.2 Tbps": "InfiniBand 3.2 Tbps", "Slingshot 11": "Slingshot 11",
		"ethernet or infiniband": "ethernet or infiniband", "光": "光",
	} {
		if got := catalog.LinkName(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
}

func TestCountryOf(t *testing.T) {
	for text, want := range map[string]string{
		"us-east-1": "US", "dallas-usa-5": "US", "us-texas-2": "US", "North Carolina, USA": "US", "Virginia": "US",
		"canada-1": "CA", "Helsinki, Finland": "FI",
		"united-kingdom-2": "GB", "norway": "NO", "New York": "US", "Île-de-France": "FR",
		"georgia-1": "", "eu-west-1": "", "us": "", "New Mexico": "", "Northern Ireland": "", "baja-california": "",
		"paris-texas-france": "", "ca-1": "", "frankfurt": "", "": "",
	} {
		if got := catalog.CountryOf(text); got != want {
			t.Errorf("%q is in %q, not %q", text, got, want)
		}
	}
	if got := catalog.CountryOf("us-west-2", "Oslo, Norway"); got != "" {
		t.Errorf("texts that contradict each other are in %q", got)
	}
}

// What the simulator says is spelled as the catalog spells it.
func TestSimulatorNamesAreUnchanged(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "provider", "sim", "catalog.json"))
	if err != nil {
		t.Fatal(err)
	}
	var world struct {
		Providers []struct {
			Offers []struct {
				GPUType, Interconnect string
				GPUMemoryGb           int
			}
		}
	}
	if err := json.Unmarshal(text, &world); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range world.Providers {
		for _, o := range p.Offers {
			seen++
			name, memory := catalog.GPUName(o.GPUType)
			if name != o.GPUType || memory != 0 && memory != o.GPUMemoryGb {
				t.Errorf("%q with %d GB is %q with %d", o.GPUType, o.GPUMemoryGb, name, memory)
			}
			if got := catalog.LinkName(o.Interconnect); got != o.Interconnect {
				t.Errorf("%q is %q", o.Interconnect, got)
			}
		}
	}
	if seen < 30 {
		t.Fatalf("%d offers were read", seen)
	}
}

// settled fails where a text's name has another name, or is no text that the catalog takes.
func settled(t interface {
	Helper()
	Errorf(string, ...any)
}, text string) {
	t.Helper()
	name, memory := catalog.GPUName(text)
	if again, _ := catalog.GPUName(name); again != name {
		t.Errorf("%q is %q, which is %q", text, name, again)
	}
	if sizes, known := catalog.GPUNames()[name]; !known && name != text ||
		memory != 0 && !slices.Contains(sizes, memory) {
		t.Errorf("%q is %q with %d GB, of %v", text, name, memory, sizes)
	}
	link := catalog.LinkName(text)
	if again := catalog.LinkName(link); again != link {
		t.Errorf("%q is %q, which is %q", text, link, again)
	}
	if utf8.ValidString(text) && !utf8.ValidString(name+link) || link != text && len(link) > 128 {
		t.Errorf("%q became %q and %q", text, name, link)
	}
	if code := catalog.CountryOf(text); code != "" && len(code) != 2 {
		t.Errorf("%q is in %q", text, code)
	}
}

func TestNormalizingANameTwiceChangesNothing(t *testing.T) {
	words := []string{"h100", "A100", "mi300x", "rtx", "4090", "6000", "Ada", "PRO", "nvidia", "AMD", "sxm5", "PCIe",
		"nvl", "80gb", "94 GB", "8x", "x8", "gpu", "infiniband", "eth", "3200", "Gb/s", "100G", "GH200", "l40s", "us",
		"texas"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(t, "words"),
			rapid.SampledFrom([]string{" ", "-", "_", ""}).Draw(t, "between"))
		settled(t, text)
		settled(t, rapid.String().Draw(t, "text"))
	})
}

func FuzzNames(f *testing.F) {
	for text := range spellings {
		f.Add(text)
	}
	for _, text := range []string{"InfiniBand 3200 Gb/s", "100G Ethernet", "SXM5", "us-east-1", "New Mexico", "ib 7 g",
		"Infinity Fabric 10 Gb/s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { settled(t, text) })
}

func TestSyncNormalizesNames(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		spelled := func(key, gpu string, memory int) provider.Offer {
			o := offer(key)
			o.GPUType, o.GPUMemoryGB, o.Interconnect = gpu, memory, "sxm5"
			return o
		}
		texas := spelled("off_texas", "h100-sxm5-80gb", 0)
		texas.Region, texas.Interconnect = "us-texas-2", "infiniband"
		named := spelled("off_named", "NVIDIA H100 80GB HBM3", 80)
		named.Region, named.RegionName, named.Country = "west-9", "The West 9", "ca"
		a := storer{&seller{slug: "a", offers: []provider.Offer{texas, named, spelled("off_a100", "A100", 0)},
			volumes: []provider.VolumePricing{{Region: "west-9", PerGBHour: 100, MinSizeGB: 1, MaxSizeGB: 10}}}}
		strange := spelled("off_strange", "TPU v5e", 16)
		strange.Region, strange.RegionName, strange.Country = "mars-1", "\x00", "Mars"
		b := &seller{slug: "b", offers: []provider.Offer{spelled("off_b", "H100_sxm5x8", 0), strange}}
		r := newRig(t, d, c, a, b)
		r.sync("a")
		r.sync("b")
		checkNames(t, r.cat.Default())

		// The same prices write nothing, and another process reads the same names.
		before := r.cat.Edition()
		if err := r.cat.Load(t.Context()); err != nil || before != r.cat.Edition() {
			t.Errorf("nothing new made another edition: %v", err)
		}
		other := r.catalog(a, b)
		if err := other.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkNames(t, other.Default())
	})
}

// checkNames checks the names of TestSyncNormalizesNames' offers, and that they are found by them.
func checkNames(t *testing.T, m catalog.Market) {
	t.Helper()
	for _, c := range []struct {
		query catalog.Query
		want  int
	}{
		{catalog.Query{GPUType: "NVIDIA H100"}, 3},
		{catalog.Query{GPUType: "h100-sxm5-80gb"}, 0},
		{catalog.Query{GPUType: "nvidia a100"}, 1},
		{catalog.Query{GPUType: "TPU v5e"}, 1},
		{catalog.Query{Search: "nvidia nvlink"}, 3},
		{catalog.Query{Search: "infiniband"}, 1},
		{catalog.Query{Search: "the west"}, 1},
	} {
		if _, got := m.List(c.query); got != c.want {
			t.Errorf("List(%+v) has %d offers, want %d", c.query, got, c.want)
		}
	}
	gpus := m.GPUTypes()
	if len(gpus) != 3 || gpus[0].GPUMemoryGB != 0 || gpus[1].GPUType != "NVIDIA H100" ||
		gpus[1].GPUMemoryGB != 80 || gpus[1].Offers != 3 || len(gpus[1].Providers) != 2 {
		t.Errorf("GPUTypes = %+v", gpus)
	}
	regions := map[string]string{}
	for _, f := range m.Regions() {
		if f.Offers > 0 {
			country := "-"
			if f.Country != nil {
				country = *f.Country
			}
			regions[f.Provider+"/"+f.Slug] = f.Name + " " + country
		}
	}
	want := map[string]string{
		"a/us-texas-2": "us-texas-2 US", "a/west-9": "The West 9 CA", "a/dallas-usa-5": "Dallas US",
		"b/dallas-usa-5": "Dallas US", "b/mars-1": "mars-1 -",
	}
	if diff := cmp.Diff(want, regions); diff != "" {
		t.Errorf("Regions (-want +got):\n%s", diff)
	}
	if v, _ := m.VolumePrice("a", "west-9"); v.RegionName != "The West 9" {
		t.Errorf("volumes are in %q, want The West 9", v.RegionName)
	}
}
