interface PackageJson {
    name: string;
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    nx?: {
        tags?: string[];
    };
}
/** One sentence per violation; empty when the declared dependencies respect the table. */
export declare function boundaryViolations(packages: readonly PackageJson[]): string[];
export declare function readPackages(): PackageJson[];
export {};
//# sourceMappingURL=boundaries.d.ts.map