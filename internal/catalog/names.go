package catalog

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/provider"
)

// Providers spell the same things differently. The catalog uses one name, so that a search for
// "NVIDIA H100" finds it everywhere and facets count it once. A text is only changed if every part
// of it is understood. Any other stays as the provider wrote it.

// model is a GPU type of the catalog.
type model struct {
	maker, name string
	// sizes are its memory sizes in decimal GB.
	sizes []int
	// forms are variants that are types of their own, with their memory sizes; without one the name
	// is the socketed variant.
	forms map[string][]int
	// also are other spellings, in lower-case letters and digits; the name itself is one.
	also []string
}

const nvidia, amd, intel = "NVIDIA", "AMD", "Intel"

// models are from the makers' data sheets. A model whose memory differs between clouds has no size
// here.
var models = []model{
	{maker: nvidia, name: "A2", sizes: []int{16}},
	{maker: nvidia, name: "A10", sizes: []int{24}},
	{maker: nvidia, name: "A10G", sizes: []int{24}},
	{maker: nvidia, name: "A16", sizes: []int{16}},
	{maker: nvidia, name: "A30", sizes: []int{24}},
	{maker: nvidia, name: "A40", sizes: []int{48}},
	{maker: nvidia, name: "A100", sizes: []int{40, 80}, forms: map[string][]int{"PCIe": {40, 80}}},
	{maker: nvidia, name: "A800", sizes: []int{40, 80}},
	{maker: nvidia, name: "H20", sizes: []int{96, 141}},
	{maker: nvidia, name: "H100", sizes: []int{80}, forms: map[string][]int{"PCIe": {80}, "NVL": {94}}},
	{maker: nvidia, name: "H200", sizes: []int{141}, forms: map[string][]int{"NVL": {141}}},
	{maker: nvidia, name: "H800", sizes: []int{80}},
	{maker: nvidia, name: "GH200", sizes: []int{96, 144}},
	{maker: nvidia, name: "B200", sizes: []int{180}},
	{maker: nvidia, name: "B300"},
	{maker: nvidia, name: "GB200"},
	{maker: nvidia, name: "GB300"},
	{maker: nvidia, name: "L4", sizes: []int{24}},
	{maker: nvidia, name: "L40", sizes: []int{48}},
	{maker: nvidia, name: "L40S", sizes: []int{48}},
	{maker: nvidia, name: "P4", sizes: []int{8}},
	{maker: nvidia, name: "P40", sizes: []int{24}},
	{maker: nvidia, name: "P100", sizes: []int{12, 16}},
	{maker: nvidia, name: "T4", sizes: []int{16}},
	{maker: nvidia, name: "V100", sizes: []int{16, 32}},
	{maker: nvidia, name: "RTX 3060"},
	{maker: nvidia, name: "RTX 3070", sizes: []int{8}},
	{maker: nvidia, name: "RTX 3080", sizes: []int{10, 12}},
	{maker: nvidia, name: "RTX 3080 Ti", sizes: []int{12}},
	{maker: nvidia, name: "RTX 3090", sizes: []int{24}, also: []string{"3090"}},
	{maker: nvidia, name: "RTX 3090 Ti", sizes: []int{24}, also: []string{"3090ti"}},
	{maker: nvidia, name: "RTX 4070", sizes: []int{12}},
	{maker: nvidia, name: "RTX 4070 Ti", sizes: []int{12}},
	{maker: nvidia, name: "RTX 4080", sizes: []int{16}},
	{maker: nvidia, name: "RTX 4080 Super", sizes: []int{16}},
	{maker: nvidia, name: "RTX 4090", sizes: []int{24}, also: []string{"4090"}},
	{maker: nvidia, name: "RTX 5070", sizes: []int{12}},
	{maker: nvidia, name: "RTX 5070 Ti", sizes: []int{16}},
	{maker: nvidia, name: "RTX 5080", sizes: []int{16}},
	{maker: nvidia, name: "RTX 5090", sizes: []int{32}, also: []string{"5090"}},
	{maker: nvidia, name: "RTX A4000", sizes: []int{16}, also: []string{"a4000"}},
	{maker: nvidia, name: "RTX A4500", sizes: []int{20}, also: []string{"a4500"}},
	{maker: nvidia, name: "RTX A5000", sizes: []int{24}, also: []string{"a5000"}},
	{maker: nvidia, name: "RTX A5500", sizes: []int{24}, also: []string{"a5500"}},
	{maker: nvidia, name: "RTX A6000", sizes: []int{48}, also: []string{"a6000"}},
	{maker: nvidia, name: "RTX 2000 Ada", sizes: []int{16}, also: []string{"rtx2000adageneration"}},
	{maker: nvidia, name: "RTX 4000 Ada", sizes: []int{20}, also: []string{"rtx4000adageneration"}},
	{maker: nvidia, name: "RTX 5000 Ada", sizes: []int{32}, also: []string{"rtx5000adageneration"}},
	{maker: nvidia, name: "RTX 6000 Ada", sizes: []int{48},
		also: []string{"rtx6000adageneration", "6000ada", "a6000ada"}},
	// Two generations have this name, so it cannot be known which is meant.
	{maker: nvidia, name: "RTX 6000"},
	{maker: nvidia, name: "RTX PRO 4500 Blackwell", sizes: []int{32}, also: []string{"rtxpro4500"}},
	{maker: nvidia, name: "RTX PRO 5000 Blackwell", also: []string{"rtxpro5000"}},
	{maker: nvidia, name: "RTX PRO 6000 Blackwell", sizes: []int{96},
		also: []string{"rtxpro6000", "rtx6000pro", "rtx6kpro", "rtxpro6k", "pro6000", "rtx6000problackwell",
			"pro6000blackwell"}},
	{maker: amd, name: "MI100", sizes: []int{32}},
	{maker: amd, name: "MI210", sizes: []int{64}},
	{maker: amd, name: "MI250", sizes: []int{128}},
	{maker: amd, name: "MI250X", sizes: []int{128}},
	{maker: amd, name: "MI300A", sizes: []int{128}},
	{maker: amd, name: "MI300X", sizes: []int{192}},
	{maker: amd, name: "MI325X", sizes: []int{256}},
	{maker: amd, name: "MI350X", sizes: []int{288}},
	{maker: amd, name: "MI355X", sizes: []int{288}},
	{maker: intel, name: "Gaudi 2", sizes: []int{96}, also: []string{"hl225", "gaudihl225"}},
	{maker: intel, name: "Gaudi 3", sizes: []int{128}},
}

var (
	bySpelling = func() map[string]*model {
		out := map[string]*model{}
		for i := range models {
			m := &models[i]
			for _, s := range append([]string{letters(m.name)}, m.also...) {
				if out[s] != nil {
					panic("catalog: two models are spelled " + s)
				}
				out[s] = m
			}
		}
		return out
	}()
	makers = map[string]string{"nvidia": nvidia, "geforce": nvidia, "tesla": nvidia, "quadro": nvidia, "amd": amd,
		"instinct": amd, "intel": intel, "habana": intel}

	separators = regexp.MustCompile(`[^a-z0-9]+`)
	// gpuSize is a memory size: "80gb", "80 GB", "80Gx8".
	gpuSize = regexp.MustCompile(`\b([0-9]{2,3}) ?g(?:b|ib)?(?:x[0-9]{1,3})?\b`)
	// gpuNoise matches words about their number, their socket, or that they are GPUs.
	gpuNoise = regexp.MustCompile(`^(?:gpus?|tensor|core|graphics|card|hbm2e?|hbm3e?|gddr[67]x?|oam|hgx|dgx|gdr|` +
		`baremetal|edition|server|workstation|nvl72|[0-9]{1,3}x|x[0-9]{1,3}|sxm[2-6]?(?:x[0-9]{1,3}|gdr)?)$`)
	gpuForms  = map[string]string{"pcie": "PCIe", "nvl": "NVL"}
	timesGPU  = regexp.MustCompile(`^[0-9]{1,3}x`)
	gpuTimes  = regexp.MustCompile(`x[0-9]{1,3}$`)
	plainText = regexp.MustCompile(`^[A-Za-z0-9 _\-/(),.:]+$`)
)

func letters(s string) string { return separators.ReplaceAllString(strings.ToLower(s), "") }

// gpuName returns the catalog's name of a GPU type and the memory of one GPU in decimal GB. The
// memory is 0 unless the text gives one of the type's sizes, or the type has only one. A text that
// is not understood is returned unchanged.
func gpuName(text string) (name string, memoryGB int) {
	s, ok := readGPU(text)
	if !ok {
		return text, 0
	}
	m := modelOf(s.model)
	if m == nil || s.maker != "" && s.maker != m.maker || s.form != "" && s.socket {
		return text, 0
	}
	name, sizes := m.maker+" "+m.name, m.sizes
	if s.form != "" && m.forms != nil {
		own, made := m.forms[s.form]
		if !made {
			return text, 0
		}
		name, sizes = name+" "+s.form, own
	}
	switch {
	case slices.Contains(sizes, s.memoryGB):
		return name, s.memoryGB
	case s.memoryGB == 0 && len(sizes) == 1:
		return name, sizes[0]
	}
	return name, 0
}

// gpuText is what the text of a GPU type says. What it does not say is "", 0 or false.
type gpuText struct {
	model    string // without separators: "h100"
	maker    string
	form     string // a value of gpuForms
	socket   bool   // it says SXM
	memoryGB int
}

// readGPU reads the text of a GPU type. It reports false if the text has characters that are not
// understood, or names two makers.
func readGPU(text string) (s gpuText, ok bool) {
	if !plainText.MatchString(text) { // a character that means something would be lost
		return s, false
	}
	rest := strings.TrimSpace(separators.ReplaceAllString(strings.ToLower(text), " "))
	if m := gpuSize.FindStringSubmatch(rest); m != nil {
		for _, digit := range m[1] {
			s.memoryGB = s.memoryGB*10 + int(digit-'0')
		}
		rest = gpuSize.ReplaceAllString(rest, " ")
	}
	for _, word := range strings.Fields(rest) {
		switch {
		case makers[word] != "":
			if s.maker != "" && s.maker != makers[word] {
				return s, false
			}
			s.maker = makers[word]
		case gpuForms[word] != "":
			if s.form == "" || word == "nvl" { // an NVL is a PCIe card
				s.form = gpuForms[word]
			}
		case gpuNoise.MatchString(word):
			s.socket = s.socket || strings.HasPrefix(word, "sxm")
		default:
			s.model += word
		}
	}
	return s, true
}

// modelOf also understands a count before or after the name: "8xh100", "h100x8".
func modelOf(spelled string) *model {
	if m := bySpelling[spelled]; m != nil {
		return m
	}
	spelled = timesGPU.ReplaceAllString(spelled, "")
	// The name's own x may precede the number.
	if m := bySpelling[spelled]; m != nil || strings.HasPrefix(spelled, "mi") {
		return m
	}
	return bySpelling[gpuTimes.ReplaceAllString(spelled, "")]
}

// rename gives the offers the catalog's names. Many offers share theirs, so each name is found
// once.
func rename(offers map[place]provider.Offer) {
	type gpu struct {
		name   string
		memory int
	}
	gpus, between := map[string]gpu{}, map[string]string{}
	for at, o := range offers {
		g, known := gpus[o.GPUType]
		if !known {
			g.name, g.memory = gpuName(o.GPUType)
			gpus[o.GPUType] = g
		}
		link, known := between[o.Interconnect]
		if !known {
			link = linkName(o.Interconnect)
			between[o.Interconnect] = link
		}
		o.GPUType, o.GPUMemoryGB, o.Interconnect = g.name, cmp.Or(o.GPUMemoryGB, g.memory), link
		offers[at] = o
	}
}

var (
	links = map[string]string{
		"infiniband": "InfiniBand", "ib": "InfiniBand", "ethernet": "Ethernet", "eth": "Ethernet", "roce": "RoCE",
		"rocev2": "RoCE",
		"nvlink": "NVLink", "nvswitch": "NVLink", "sxm": "NVLink", "sxm2": "NVLink", "sxm3": "NVLink",
		"sxm4": "NVLink", "sxm5": "NVLink", "sxm6": "NVLink",
		"pcie": "PCIe", "pci": "PCIe", "pciexpress": "PCIe", "infinityfabric": "Infinity Fabric",
		"xgmi": "Infinity Fabric",
	}
	noLink = []string{"none", "na", "unknown", "null"}
	// linkSpeed is a speed before or after the name of a link: "infiniband_3200gbps", "100G
	// Ethernet".
	linkSpeed = regexp.MustCompile(
		`(?i)^(?:([a-z][a-z0-9 -]*?)[ _-]+([1-9][0-9]{0,4}) ?(?:g|gbps|gb/s|gbit/s)|` +
			`([1-9][0-9]{0,4}) ?(?:g|gbps|gb/s|gbit/s)[ _-]+([a-z][a-z0-9 -]*))$`)
)

// linkName returns the catalog's name of an interconnect, with its speed if the text gives one; ""
// for none. A text that is not understood is returned unchanged. A socket stands for the link that
// it carries.
func linkName(text string) string {
	if !plainText.MatchString(text) {
		return text
	}
	folded := letters(text)
	if slices.Contains(noLink, folded) {
		return ""
	}
	if name := links[folded]; name != "" {
		return name
	}
	if m := linkSpeed.FindStringSubmatch(text); m != nil {
		word, speed := m[1]+m[4], m[2]+m[3]
		if name := links[letters(word)]; name != "" {
			return name + " " + speed + " Gb/s"
		}
	}
	return text
}

// countries are texts that stand for one country wherever they occur in the name of a region.
// Ambiguous texts, such as Georgia or ca, are left out. Names that contain another's, such as New
// Mexico, are included.
var countries = map[string]string{
	"usa": "US", "united states": "US", "canada": "CA", "mexico": "MX", "brazil": "BR", "chile": "CL",
	"united kingdom": "GB", "ireland": "IE", "france": "FR",
	"germany": "DE", "netherlands": "NL", "belgium": "BE", "spain": "ES", "portugal": "PT", "italy": "IT",
	"switzerland": "CH", "austria": "AT", "poland": "PL",
	"czechia": "CZ", "norway": "NO", "sweden": "SE", "finland": "FI", "denmark": "DK", "iceland": "IS",
	"estonia": "EE", "romania": "RO", "bulgaria": "BG",
	"israel": "IL", "india": "IN", "japan": "JP", "south korea": "KR", "singapore": "SG", "malaysia": "MY",
	"indonesia": "ID", "thailand": "TH", "vietnam": "VN",
	"taiwan": "TW", "hong kong": "HK", "australia": "AU", "new zealand": "NZ", "south africa": "ZA",
	"united arab emirates": "AE", "saudi arabia": "SA", "qatar": "QA",

	"alabama": "US", "arizona": "US", "california": "US", "colorado": "US", "florida": "US", "illinois": "US",
	"iowa": "US", "kansas": "US", "massachusetts": "US",
	"baja california": "MX", "new mexico": "US", "northern ireland": "GB", "michigan": "US", "minnesota": "US",
	"nebraska": "US", "nevada": "US", "new jersey": "US", "new york": "US", "north carolina": "US", "ohio": "US",
	"oklahoma": "US",
	"oregon":   "US", "pennsylvania": "US", "tennessee": "US", "texas": "US", "utah": "US", "virginia": "US",
	"wisconsin": "US", "wyoming": "US",
}

// countryOf returns the ISO 3166-1 alpha-2 code of the country that the texts about a region name;
// "" if they name none or several.
func countryOf(texts ...string) string {
	found := ""
	for _, text := range texts {
		words := strings.Fields(separators.ReplaceAllString(strings.ToLower(text), " "))
		if len(words) > 1 && words[0] == "us" { // us-east-1
			words[0] = "usa"
		}
		for i := range words {
			for n := 1; n <= 3 && i+n <= len(words); n++ {
				code := countries[strings.Join(words[i:i+n], " ")]
				switch {
				case code == "" || code == found:
				case found == "":
					found = code
				default:
					return ""
				}
			}
		}
	}
	return found
}

// countryCode returns the text as an ISO 3166-1 alpha-2 code; "" if it cannot be one.
func countryCode(s string) string {
	s = strings.ToUpper(s)
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}
