// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The accelerator of docs/accelerator.md for processes: each open of /dev/accelerator is a queue whose DMA goes by the page
 * tables of the process that opened it. ACCELERATOR_START says where its rings are, mmap gives the doorbell page.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "accelerator.h"

#define ACC_ID 0x00
#define ACC_VERSION 0x41434301
#define ACC_CONTROL 0x1000
#define ACC_STATUS 0x1004
#define ACC_PASID 0x1008
#define ACC_SIZE 0x100c
#define ACC_COMMANDS 0x1010
#define ACC_COMPLETIONS 0x1018
#define ACC_BLOCK 0x40
#define ACC_PASID_VALID BIT(31)
#define ACC_DOORBELLS 0x80000
#define ACC_DOORBELL_PAGE 0x10000
#define ACC_QUEUES 8

struct accelerator {
	struct device *dev;
	void __iomem *base;
	phys_addr_t at;
	struct miscdevice misc;
	struct mutex lock;
	DECLARE_BITMAP(used, ACC_QUEUES);
};

struct context {
	struct accelerator *acc;
	struct iommu_sva *sva;
	unsigned int queue;
};

static void __iomem *reg(struct context *c, unsigned int offset)
{
	return c->acc->base + offset + ACC_BLOCK * c->queue;
}

static int acc_open(struct inode *inode, struct file *file)
{
	struct accelerator *acc = container_of(file->private_data, struct accelerator, misc);
	struct context *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int err = 0;

	if (!c)
		return -ENOMEM;
	c->acc = acc;
	mutex_lock(&acc->lock);
	c->queue = find_first_zero_bit(acc->used, ACC_QUEUES);
	if (c->queue < ACC_QUEUES)
		set_bit(c->queue, acc->used);
	else
		err = -EBUSY;
	mutex_unlock(&acc->lock);
	if (err)
		goto free;
	c->sva = iommu_sva_bind_device(acc->dev, current->mm);
	if (IS_ERR(c->sva)) {
		err = PTR_ERR(c->sva);
		goto release;
	}
	writel(iommu_sva_get_pasid(c->sva) | ACC_PASID_VALID, reg(c, ACC_PASID));
	file->private_data = c;
	return 0;
release:
	clear_bit(c->queue, acc->used);
free:
	kfree(c);
	return err;
}

static int acc_release(struct inode *inode, struct file *file)
{
	struct context *c = file->private_data;

	writel(0, reg(c, ACC_CONTROL));
	iommu_sva_unbind_device(c->sva);
	clear_bit(c->queue, c->acc->used);
	kfree(c);
	return 0;
}

static long acc_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct context *c = file->private_data;
	struct accelerator_start start;

	switch (command) {
	case ACCELERATOR_START:
		if (copy_from_user(&start, (void __user *)arg, sizeof(start)))
			return -EFAULT;
		writel(0, reg(c, ACC_CONTROL));
		writel(start.size, reg(c, ACC_SIZE));
		writeq(start.commands, reg(c, ACC_COMMANDS));
		writeq(start.completions, reg(c, ACC_COMPLETIONS));
		writel(1, reg(c, ACC_CONTROL));
		return readl(reg(c, ACC_CONTROL)) ? 0 : -EINVAL;
	case ACCELERATOR_STATUS:
		return readl(reg(c, ACC_STATUS));
	default:
		return -ENOTTY;
	}
}

static int acc_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct context *c = file->private_data;
	phys_addr_t at = c->acc->at + ACC_DOORBELLS + ACC_DOORBELL_PAGE * c->queue;

	if (vma->vm_pgoff || vma->vm_end - vma->vm_start > ACC_DOORBELL_PAGE)
		return -EINVAL;
	vma->vm_page_prot = pgprot_device(vma->vm_page_prot);
	return io_remap_pfn_range(vma, vma->vm_start, at >> PAGE_SHIFT, vma->vm_end - vma->vm_start,
				  vma->vm_page_prot);
}

static const struct file_operations acc_fops = {
	.owner = THIS_MODULE,
	.open = acc_open,
	.release = acc_release,
	.unlocked_ioctl = acc_ioctl,
	.mmap = acc_mmap,
};

static int acc_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct accelerator *acc = devm_kzalloc(dev, sizeof(*acc), GFP_KERNEL);
	struct resource *res;
	int err;

	if (!acc)
		return -ENOMEM;
	acc->dev = dev;
	acc->base = devm_platform_get_and_ioremap_resource(pdev, 0, &res);
	if (IS_ERR(acc->base))
		return PTR_ERR(acc->base);
	acc->at = res->start;
	mutex_init(&acc->lock);
	if (readl(acc->base + ACC_ID) != ACC_VERSION)
		return -ENODEV;
	err = iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_IOPF);
	if (!err)
		err = iommu_dev_enable_feature(dev, IOMMU_DEV_FEAT_SVA);
	if (err)
		return dev_err_probe(dev, err, "no shared virtual addressing\n");
	acc->misc = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR, .name = "accelerator", .fops = &acc_fops, .parent = dev,
	};
	dev_info(dev, "%d queues\n", ACC_QUEUES);
	return misc_register(&acc->misc);
}

static const struct of_device_id acc_ids[] = { { .compatible = "understage,accelerator" }, {} };

/* It stays: the module cannot be removed, and the device not be unbound. */
static struct platform_driver acc_driver = {
	.probe = acc_probe,
	.driver = { .name = "accelerator", .of_match_table = acc_ids, .suppress_bind_attrs = true },
};
builtin_platform_driver(acc_driver);

MODULE_DESCRIPTION("Queues of an accelerator for processes, by shared virtual addressing");
MODULE_LICENSE("Dual MIT/GPL");
