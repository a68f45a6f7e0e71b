package lambdatest

import (
	"net/http"
	"slices"
)

// kind is a machine type.
type kind struct {
	Name           string `json:"name"`
	Description    string `json:"description"`
	GPUDescription string `json:"gpu_description"`
	Price          int    `json:"price_cents_per_hour"`
	Specs          specs  `json:"specs"`
	Architecture   string `json:"architecture,omitempty"`
	regions        []string
}

type specs struct {
	VCPUs      int `json:"vcpus"`
	MemoryGiB  int `json:"memory_gib"`
	StorageGiB int `json:"storage_gib"`
	GPUs       int `json:"gpus"`
}

type region struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

var regions = map[string]region{
	"us-east-1": {"us-east-1", "Virginia, USA"}, "us-south-2": {"us-south-2", "North Texas, USA"},
	"us-east-3": {"us-east-3", "Washington DC, USA"},
}

// kinds returns what the cloud sells, with the regions that have it in stock: one is sold out
// everywhere, and one has no GPU.
func kinds() []kind {
	return []kind{
		{
			"gpu_1x_a10", "1x A10 (24 GB PCIe)", "A10 (24 GB PCIe)", 75, specs{30, 200, 1400, 1}, "x86_64",
			[]string{"us-east-1", "us-south-2"},
		},
		{
			"gpu_8x_h100_sxm5gdr", "8x H100 (80 GB SXM5)", "H100 (80 GB SXM5)", 2392, specs{208, 1800, 22528, 8},
			"x86_64", []string{"us-south-2"},
		},
		{
			"gpu_1x_gh200", "1x GH200 (96 GB)", "GH200 (96 GB)", 149, specs{64, 432, 4096, 1}, "arm64",
			[]string{"us-east-3"},
		},
		{"gpu_8x_b200_sxm6", "8x B200 (180 GB SXM6)", "B200 (180 GB SXM6)", 3992, specs{208, 2900, 22528, 8}, "", nil},
		{"cpu_4x_general", "4x General Purpose", "N/A", 12, specs{4, 16, 512, 0}, "x86_64", []string{"us-east-1"}},
	}
}

func (c *Cloud) types(w http.ResponseWriter, _ *http.Request) {
	all := map[string]any{}
	for _, k := range kinds() {
		there := []region{}
		for _, name := range k.regions {
			if !c.NoCapacity {
				there = append(there, regions[name])
			}
		}
		all[k.Name] = map[string]any{"instance_type": k, "regions_with_capacity_available": there}
	}
	write(w, all)
}

// image is an image in a region.
type image struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Description  string `json:"description"`
	Family       string `json:"family"`
	Version      string `json:"version"`
	Architecture string `json:"architecture"`
	Region       region `json:"region"`
	Created      string `json:"created_time"`
	Updated      string `json:"updated_time"`
}

func images() []image {
	var all []image
	for _, i := range [][3]string{
		{"lambda-stack-22-04", "x86_64", "us-east-1"}, {"lambda-stack-22-04", "x86_64", "us-south-2"},
		{"ubuntu-22-04", "x86_64", "us-east-1"},
		// An older version of the same family.
		{"lambda-stack-24-04", "arm64", "us-east-3"}, {"lambda-stack-22-04", "x86_64", "us-east-1"},
	} {
		all = append(all, image{
			ID: "43336648-096d-4cba-9aa2-f9bb7727639" + string('0'+rune(len(all))), Name: i[0], Description: "an image",
			Family: i[0], Version: "1.0",
			Architecture: i[1], Region: regions[i[2]], Created: "2026-01-02T03:04:05Z", Updated: "2026-01-02T03:04:05Z",
		})
	}
	return all
}

func (c *Cloud) images(w http.ResponseWriter, _ *http.Request) { write(w, images()) }

// sold returns the type, and whether it is sold and in stock in the region.
func sold(name, place string) (k kind, is, available bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.Name == name })
	if _, known := regions[place]; i < 0 || !known {
		return k, false, false
	}
	return all[i], true, slices.Contains(all[i].regions, place)
}

// runs reports whether the image family exists for the type in the region.
func runs(family, place, name string) bool {
	architecture := "x86_64"
	if name == "gpu_1x_gh200" {
		architecture = "arm64"
	}
	return slices.ContainsFunc(images(), func(i image) bool {
		return i.Family == family && i.Region.Name == place && i.Architecture == architecture
	})
}
