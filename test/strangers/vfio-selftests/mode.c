/* Kernels before 6.2 have no IOMMUFD, which is what the selftests take unless a test names a mode. */
extern const char *default_iommu_mode;

static void __attribute__((constructor)) set_mode(void)
{
    default_iommu_mode = "vfio_type1v2_iommu";
}
